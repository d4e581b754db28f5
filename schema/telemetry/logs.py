"""Log lines: one JSON object each, or coloured text at a terminal, with the video, stage and attempt they belong to.

`structlog.get_logger()` is all that code needs; ids bound with `structlog.contextvars.bind_contextvars` are on every
line until they are unbound, and what libraries say at warning or above comes out in the same form. Values under a
secret-sounding name and whatever looks like a credential are masked, exceptions included, and so is each secret that
`hide` was told, wherever it stands. What nobody told it goes by name and shape alone: a stranger's secret that looks
like ordinary text, under an innocent name, is not recognised.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"

#: Frames of an exception that a line shows: a deep recursion must not make a line of megabytes.
_MAX_FRAMES = 30
#: What a line begins with.
_FIRST = ("at", "level", "process", "event", "video", "stage", "attempt")

#: How deep nested values are followed.
_MAX_DEPTH = 8

#: Libraries that say more than an operator needs at WARNING: of dramatiq's retries we write lines of our own.
_LIBRARY_LEVELS = {"dramatiq": logging.ERROR}

_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|authorization", re.IGNORECASE)
_CREDENTIALS: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host, up to the last @ of the word: a password may hold one
    (re.compile(r"(://[^\s/:@\"'<>]*):[^\s\"'<>]+@"), rf"\1:{MASK}@"),
    # Authorization: Basic ..., and a bearer token wherever it stands
    (re.compile(r"\b(bearer|authorization:\s*\w+)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    # api_key=..., "token": "...", PGPASSWORD=...
    (
        re.compile(r"(\w*(?:key|token|secret|passw|credential)\w*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&)}]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # keys that bear their maker's prefix
    (re.compile(r"\b(?:sk|pk|xi|ghp|AIza)[-_]?[\w-]{16,}"), MASK),
)

#: Of this process's settings.
_hidden: set[str] = set()
_SECRET_MIN_CHARS = 6


def configure(process: str, *, json: bool | None = None) -> None:
    """Send the log lines of this process to standard output; `process` is its name in the Procfile.

    JSON when `json` says so, and by default unless standard output is a terminal. May be called again.
    """
    as_json = not sys.stdout.isatty() if json is None else json

    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        add_process,
        structlog.processors.StackInfoRenderer(),
    ]
    final = _final(as_json=as_json)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    _route_libraries(shared, final)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def hide(secrets: Iterable[str]) -> None:
    """Mask these very texts from now on; what is too short to be a secret would only make lines unreadable."""
    _hidden.update(secret for secret in secrets if len(secret) >= _SECRET_MIN_CHARS)


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the event with its secrets masked, what a reader looks for first at its head."""
    ordered = {name: event[name] for name in _FIRST if name in event} | dict(event)
    return {name: _masked(name, value, _MAX_DEPTH) for name, value in ordered.items()}


def _final(*, as_json: bool) -> list[Processor]:
    """From an event to its line; exceptions become text before masking, so that their words are masked too."""
    if as_json:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=_MAX_FRAMES)
        return [structlog.processors.ExceptionRenderer(transformer), mask, structlog.processors.JSONRenderer()]
    colours = sys.stdout.isatty()
    return [
        structlog.processors.format_exc_info,
        mask,
        structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at"),
    ]


def _route_libraries(shared: list[Processor], final: list[Processor]) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name, level in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(level)


def _masked(name: object, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(name, str) and _SECRET_NAME.search(name):
        return MASK if value else value
    if depth and isinstance(value, Mapping):
        return {str(key): _masked(key, inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, inner, depth - 1) for inner in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return cleaned(value if isinstance(value, str) else repr(value))


def cleaned(text: str) -> str:
    """A line for a person, with its secrets masked."""
    for secret in _hidden:
        text = text.replace(secret, MASK)
    for pattern, instead in _CREDENTIALS:
        text = pattern.sub(instead, text)
    return text


def _log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """What ends the process, as a line of the log; Ctrl-C is no crash."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    structlog.get_logger().critical("process crashed", exc_info=(kind, error, traceback))


def _log_thread_crash(crash: Any) -> None:  # noqa: ANN401 - threading.ExceptHookArgs is no class at run time
    if issubclass(crash.exc_type, SystemExit):
        return
    thread = crash.thread.name if crash.thread else "unknown"
    where = (crash.exc_type, crash.exc_value, crash.exc_traceback)
    structlog.get_logger().critical("thread crashed", thread=thread, exc_info=where)
