"""Traces as the W3C writes them: one `traceparent` travels with a video from its request to its film.

Where OpenTelemetry is installed (the extra `traces`) and one of its `OTEL_` variables names an exporter, each attempt
of a stage and each call of a provider is a span of that trace. Otherwise nothing of it is loaded, and a span costs a
function call. What is malformed begins a new trace; nothing here raises, and a collector that is away costs spans,
never work. The span of the request itself belongs to whoever sent it: where nobody did, the trace has no root.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

#: version-traceid-spanid-flags (W3C Trace Context, level 1); later versions may append to it.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
#: Any of these asks for spans to be sent; they are OpenTelemetry's own.
_ASKS: Final = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
#: How long the end of a process waits for its last spans to be taken.
_LAST_SPANS_S: Final = 2.0
_UNTRACED: Final[AbstractContextManager[None]] = nullcontext()
_log = structlog.get_logger(__name__)


class _Sending:
    """Where the spans of this process go; None: nowhere."""

    provider: TracerProvider | None = None


def new_traceparent() -> str:
    """The first span of a new trace."""
    return f"00-{_random_hex(16)}-{_random_hex(8)}-01"


def child_of(traceparent: str) -> str:
    """A new span of the same trace; a new trace where `traceparent` is not one."""
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None or (match["version"] == "00" and match["rest"]):
        return new_traceparent()
    return f"00-{match['trace']}-{_random_hex(8)}-{match['flags']}"


def begin(process: str, *, exporter: SpanExporter | None = None, environ: Mapping[str, str] = os.environ) -> bool:
    """Send spans from now on, as `environ` asks for it; says whether they are sent. `exporter` takes them in a test."""
    asked = next((name for name in _ASKS if environ.get(name)), "")
    if exporter is None and (not asked or environ.get("OTEL_SDK_DISABLED", "").lower() == "true"):
        return False
    try:
        provider = _provider(process, exporter, environ.get("OTEL_TRACES_EXPORTER") or "otlp")
    except ImportError as error:
        _log.warning("traces.not_sent", reason=f"{asked} is set and {error}", hint="install the extra `traces`")
        return False
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a variable of OpenTelemetry's, films are made
        _log.warning("traces.not_sent", reason=f"{type(error).__name__}: {error}", hint="see the OTEL_ variables")
        return False
    _Sending.provider = provider
    return provider is not None


def end() -> None:
    """Hand over the last spans, waiting no longer than a moment, and send no more."""
    provider, _Sending.provider = _Sending.provider, None
    if provider is not None:
        # a thread of its own: the exporter's patience with a collector that is away is longer than ours
        leaving = threading.Thread(target=provider.shutdown, daemon=True)
        leaving.start()
        leaving.join(_LAST_SPANS_S)


def span(name: str, *, parent: str = "", **attributes: str | int) -> AbstractContextManager[None]:
    """What happens inside is a span: below `parent`, a traceparent, or else below the span that is current here.

    An exception that leaves it is kept with it.
    """
    if _Sending.provider is None:
        return _UNTRACED
    return _span(_Sending.provider, name, parent, attributes)


def note(**attributes: str | int) -> None:
    """Say more of the current span."""
    if _Sending.provider is not None:
        from opentelemetry import trace  # noqa: PLC0415 - loaded only where spans are sent

        trace.get_current_span().set_attributes(_named(attributes))


def failed(reason: str) -> None:
    """The current span ended badly."""
    if _Sending.provider is not None:
        from opentelemetry import trace  # noqa: PLC0415 - likewise

        trace.get_current_span().set_status(trace.Status(trace.StatusCode.ERROR, reason))


@contextmanager
def _span(provider: TracerProvider, name: str, parent: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - likewise

    above = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    with provider.get_tracer("ytempire").start_as_current_span(name, context=above, attributes=_named(attributes)):
        yield


def _provider(process: str, exporter: SpanExporter | None, kind: str) -> TracerProvider | None:
    """Sends to `exporter`, or to what the standard variables name; None where they name `none`."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - likewise
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - likewise
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    # OTEL_SERVICE_NAME wins over our name
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "ytempire"}
    provider = TracerProvider(
        resource=Resource.create({**named, "service.instance.id": process}), shutdown_on_exit=False
    )
    if exporter is not None:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    elif kind == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    elif kind == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - likewise

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    elif kind == "none":
        return None
    else:
        raise ValueError(f"OTEL_TRACES_EXPORTER is {kind!r}, expected otlp, console or none")
    return provider


def _named(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"ytempire.{name}": value for name, value in attributes.items()}


def _random_hex(size_bytes: int) -> str:
    """Random bytes in hex; all zeros mean "none" in a traceparent, so the last bit is always set."""
    return f"{secrets.randbits(8 * size_bytes) | 1:0{2 * size_bytes}x}"
