import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from schema.telemetry import traces

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def sent() -> Iterator[InMemorySpanExporter]:
    """The spans that this process sends."""
    exporter = InMemorySpanExporter()
    assert traces.begin("test", exporter=exporter)
    yield exporter
    traces.end()


def test_a_span_belongs_to_the_trace_of_its_video_and_what_is_inside_to_the_span(sent: InMemorySpanExporter) -> None:
    with traces.span("stage script", parent=GIVEN, video="v"), traces.span("call openai", model="m"):
        pass
    call, stage = sent.get_finished_spans()
    assert stage.parent is not None
    assert call.parent == stage.context
    assert f"00-{stage.context.trace_id:032x}-{stage.parent.span_id:016x}-01" == GIVEN
    assert (stage.attributes, call.attributes) == ({"ytempire.video": "v"}, {"ytempire.model": "m"})
    assert stage.resource.attributes["service.name"] == "ytempire"
    assert stage.resource.attributes["service.instance.id"] == "test"


def test_a_malformed_parent_begins_a_new_trace(sent: InMemorySpanExporter) -> None:
    with traces.span("stage script", parent="not one"):
        pass
    [stage] = sent.get_finished_spans()
    assert stage.parent is None


def test_how_a_span_ended_and_what_left_it_are_kept(sent: InMemorySpanExporter) -> None:
    with traces.span("stage script"):
        traces.note(outcome="retried")
        traces.failed("no answer")
    with pytest.raises(ValueError, match="odd"), traces.span("call openai"):
        raise ValueError("odd")
    stage, call = sent.get_finished_spans()
    assert stage.attributes == {"ytempire.outcome": "retried"}
    assert (stage.status.is_ok, stage.status.description) == (False, "no answer")
    assert (call.status.is_ok, [event.name for event in call.events]) == (False, ["exception"])


def test_where_nobody_asks_for_spans_nothing_of_opentelemetry_is_loaded() -> None:
    program = """
import sys
from schema.telemetry import traces
assert not traces.begin("test", environ={})
assert not traces.begin("test", environ={"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"})
with traces.span("stage script", parent="x"):
    traces.note(outcome="done")
    traces.failed("no")
traces.end()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "OTEL_EXPORTER_OTLP_ENDPOINT is set and "),
        ({"OTEL_TRACES_EXPORTER": "carrier pigeon"}, "OTEL_TRACES_EXPORTER is 'carrier pigeon'"),
    ],
)
def test_spans_that_cannot_be_sent_are_said_once_and_stop_nothing(
    environ: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "pigeon" not in says:
        monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with capture_logs() as logged:
        assert not traces.begin("test", environ=environ)
    [line] = logged
    assert says in line["reason"]


def test_a_collector_that_is_away_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_LAST_SPANS_S", 0.05)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    assert traces.begin("test")
    with traces.span("stage script"):
        pass
    traces.end()
    with traces.span("stage script"):
        traces.note(outcome="done")
