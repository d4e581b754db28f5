"""Reads the settings from the environment, and says what it got when it cannot.

Every field of the five groups is `YTEMPIRE_` plus its name in capitals; the two server addresses and the keys to what
is others' keep the names that the whole field uses, such as `REDIS_URL` and `OPENAI_API_KEY`. An empty variable counts
as not set. No complaint shows a key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import get_type_hints

import msgspec

from schema.errors import ConfigurationError
from schema.settings.limits import Limits
from schema.settings.masking import SECRETS, masked
from schema.settings.operations import Operations
from schema.settings.providers import Providers
from schema.settings.servers import Servers
from schema.settings.video import Video

PREFIX = "YTEMPIRE_"
_UNPREFIXED = {
    "redis_url": "REDIS_URL",
    "database_url": "DATABASE_URL",
    "openai_api_key": "OPENAI_API_KEY",
    "pexels_api_key": "PEXELS_API_KEY",
    "elevenlabs_api_key": "ELEVENLABS_API_KEY",
    "google_api_key": "GOOGLE_API_KEY",
    "google_application_credentials": "GOOGLE_APPLICATION_CREDENTIALS",
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
_WAYS_IN = {"redis_url", "database_url", "database_direct_url", "google_application_credentials"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a process, in their five groups."""

    servers: Servers = Servers()
    limits: Limits = Limits()
    providers: Providers = Providers()
    video: Video = Video()
    operations: Operations = Operations()


class Variable(msgspec.Struct, frozen=True):
    """One setting as the environment names it."""

    name: str
    group: str
    field: str
    default: str
    description: str


def variables() -> Iterator[Variable]:
    """Every setting there is, in the order of the groups."""
    for group, kind in get_type_hints(Settings).items():
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            name = _UNPREFIXED.get(field.name, PREFIX + field.name.upper())
            description = hints[field.name].__metadata__[0].description
            yield Variable(name, group, field.name, str(field.default), description)


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that this environment asks for.

    Raises ConfigurationError, naming the variable, what was got and what was expected; unknown names with our prefix
    are refused too, since a misspelt setting is one that silently does not apply.
    """
    environ = os.environ if environ is None else environ
    known = {variable.name: variable for variable in variables()}
    if strange := unknown(environ):
        message = f"there is no setting {strange[0]}"
        raise ConfigurationError(message, hint="the settings are listed in .env.example")
    groups: dict[str, dict[str, str]] = {}
    for variable in known.values():
        if value := environ.get(variable.name, ""):
            groups.setdefault(variable.group, {})[variable.field] = value
            _check(variable, value)
    return msgspec.convert(groups, Settings, strict=False)


def unknown(environ: Mapping[str, str]) -> list[str]:
    """The variables with our prefix that are no settings."""
    known = {variable.name for variable in variables()}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def secrets(settings: Settings) -> frozenset[str]:
    """What must be in no line that is written: keys, the token, whole addresses of alerts, passwords in addresses."""
    found = set()
    for one in variables():
        value = getattr(getattr(settings, one.group), one.field)
        if one.field in SECRETS:
            found.update(str(value).split())
        elif isinstance(value, str) and "@" in value:
            found.add(value.partition("://")[2].rpartition("@")[0].partition(":")[2])
    return frozenset(text for text in found if text)


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for a child that needs no keys and no servers, such as one that decodes files of strangers."""
    kept_back = {one.name for one in variables() if one.field in SECRETS | _WAYS_IN}
    return {name: value for name, value in environ.items() if name not in kept_back and not name.startswith("PG")}


def _check(variable: Variable, value: str) -> None:
    kind = get_type_hints(Settings)[variable.group]
    try:
        msgspec.convert({variable.field: value}, kind, strict=False)
    except msgspec.ValidationError as error:
        expected = str(error).split(" - at ")[0]
        shown = masked(variable.field, value)
        shown = shown if variable.field in SECRETS else repr(shown)
        message = f"{variable.name} is {shown}: {expected} ({variable.description}; default {variable.default!r})"
        raise ConfigurationError(message, hint="see .env.example") from None
