"""What a call can cost at most, and what it has cost: exact decimals from a table that names its date and source.

The table is schema/money/prices.toml; a file of the user goes before it, model by model. What has no price is refused,
never guessed. A sum is rounded up to a millionth of a dollar. A table cannot know your contract: it may be too high or
too low, and the ledger refuses a price once a bill has shown it too low.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_UP, Decimal
from importlib.resources import files
from pathlib import Path

import msgspec

from schema.errors import ConfigurationError, UnknownPriceError

_PER_UNITS = 1_000_000
_MILLIONTH = Decimal("0.000001")
#: More of anything in one call than any provider takes; what is larger was counted wrong.
_MOST_UNITS = 1_000_000_000


class Price(msgspec.Struct, frozen=True):
    """The price of one model: dollars for 1,000,000 of each unit."""

    service: str
    model: str
    usd: dict[str, Decimal]
    as_of: date | None
    source: str

    @property
    def figures(self) -> str:
        """The figures in words: two prices that say the same are the same price."""
        return ", ".join(f"{unit} {usd.normalize():f}" for unit, usd in sorted(self.usd.items()))


class _Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: dict[str, dict[str, Decimal]]
    as_of: date | None = None
    source: str = ""


class Prices:
    """The prices of this process."""

    def __init__(self, path: str = "") -> None:
        """The built-in table, and the user's file before it where `path` names one; raises ConfigurationError."""
        built_in = (files("schema.money") / "prices.toml").read_text(encoding="utf-8")
        self._prices = _read(built_in, "schema/money/prices.toml")
        if path:
            try:
                own = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(
                    f"the price file {path} cannot be read: {error}", hint="YTEMPIRE_PRICES names a TOML file"
                ) from error
            self._prices |= _read(own, path)

    def price(self, service: str, model: str) -> Price:
        """The price of a model; raises UnknownPriceError where there is none."""
        try:
            return self._prices[service, model]
        except KeyError:
            pass
        known = sorted(name for at, name in self._prices if at == service)
        near = difflib.get_close_matches(model, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}" if known else ""
        raise UnknownPriceError(
            f"nobody says what {service} charges for {model}{meant}",
            hint=f'put [{service}.models] "{model}" = {{ UNIT = DOLLARS_PER_MILLION }} into the file that '
            "YTEMPIRE_PRICES names; 0 for what is free",
        )

    def worst_case_usd(self, service: str, model: str, units: Mapping[str, int]) -> Decimal:
        """The most that so many units cost."""
        return self._sum(service, model, units)

    def bill_usd(self, service: str, model: str, used: Mapping[str, int]) -> Decimal:
        """What these units have cost."""
        return self._sum(service, model, used)

    def listed(self) -> tuple[Price, ...]:
        """All there are, by service and model."""
        return tuple(price for _, price in sorted(self._prices.items()))

    def _sum(self, service: str, model: str, units: Mapping[str, int]) -> Decimal:
        price = self.price(service, model)
        if not units:
            raise UnknownPriceError(f"a call of {service} {model} names no units: expected {', '.join(price.usd)}")
        total = Decimal(0)
        for unit, count in units.items():
            if unit not in price.usd:
                raise UnknownPriceError(
                    f"{service} {model} has no price for {unit}: it has one for {', '.join(price.usd)}",
                    hint="name the unit in the file that YTEMPIRE_PRICES names",
                )
            if not 0 <= count <= _MOST_UNITS:
                raise UnknownPriceError(f"{service} {model}: {count} {unit} is not a number of units")
            total += price.usd[unit] * count
        return (total / _PER_UNITS).quantize(_MILLIONTH, rounding=ROUND_UP)


def _read(text: str, name: str) -> dict[tuple[str, str], Price]:
    hint = "the form is that of schema/money/prices.toml"
    try:
        tables = msgspec.convert(tomllib.loads(text, parse_float=Decimal), dict[str, _Service])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"the price file {name} is not understood: {error}", hint=hint) from error
    found = {}
    for service, table in tables.items():
        for model, usd in table.models.items():
            for unit, price in usd.items():
                if not price.is_finite() or price < 0:
                    raise ConfigurationError(
                        f"{name}: {service} {model} {unit} is {price}: expected 0 or more", hint=hint
                    )
            found[service, model] = Price(service, model, usd, table.as_of, table.source or name)
    return found
