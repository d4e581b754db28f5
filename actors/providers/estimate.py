"""What a video would cost, before it is ordered: by the adapters' own bounds and the price table; nothing is sent.

For each stage the first provider of its chain counts. A script costs at most what is named, since its request carries
that bound; of a narration that is not written yet only the length is known, so its price is an estimate.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec

from actors.providers import configured
from actors.providers.ports import ScriptOrder, SpeechOrder
from actors.providers.script import extractive
from schema.documents import Brief
from schema.errors import PermanentError
from schema.modes import Bundle
from schema.money.prices import Prices
from schema.settings.providers import LOCAL, Providers, Stage

#: Characters that a narrator says in a second, pauses included.
_CHARACTERS_A_SECOND = 16.0


class Item(msgspec.Struct, frozen=True):
    """One stage's share; `at_most` where the request itself is bounded by it, else about so much."""

    stage: Stage
    provider: str
    model: str
    amount_usd: Decimal
    at_most: bool


def estimate(brief: Brief, settings: Providers, mode: Bundle) -> tuple[Item, ...]:
    """An item for each stage that buys; an empty provider's name means that it costs nothing."""
    prices, economy = Prices(settings.prices), mode.models == "economy"

    def item(stage: Stage, name: str, adapter: Any, order: Any, *, at_most: bool) -> Item:  # noqa: ANN401 - any adapter and its order
        units = adapter.worst_case(order)
        usd = prices.worst_case_usd(adapter.service, adapter.model, units)
        return Item(stage, name, adapter.model, usd, at_most)

    items: list[Item] = []
    if (writer := settings.chain("script")[0]) != LOCAL:
        adapter = configured.writer(writer, settings, economy=economy)
        items.append(item("script", writer, adapter, ScriptOrder(brief), at_most=True))
    else:
        items.append(_free("script"))
    items.append(_free("media", "" if settings.chain("media")[0] == LOCAL else settings.chain("media")[0]))
    voices = settings.chain("audio")
    first = [name for name in mode.voices_first if name in voices] or [voices[0]]
    if first[0] != LOCAL:
        text, known = _narration(brief, writer)
        voice = configured.speaker(first[0], settings, economy=economy)
        items.append(item("audio", first[0], voice, SpeechOrder(text, brief.voice), at_most=known))
    else:
        items.append(_free("audio"))
    return tuple(items)


def _free(stage: Stage, provider: str = LOCAL) -> Item:
    return Item(stage, provider or LOCAL, "", Decimal(0), at_most=True)


def _narration(brief: Brief, writer: str) -> tuple[str, bool]:
    """The words to be said where they are known already, else as many signs as the length has room for."""
    if writer == LOCAL:
        try:
            return " ".join(scene.narration for scene in extractive.write(brief).scenes), True
        except PermanentError:
            pass
    return "x" * math.ceil(brief.length_s * _CHARACTERS_A_SECOND), False
