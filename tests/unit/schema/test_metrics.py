import socket
import urllib.request
from collections.abc import Iterator

import pytest

from schema import flow
from schema.errors import ConfigurationError
from schema.telemetry import metrics


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a running exporter."""
    yield metrics.serve("127.0.0.1", 0)
    metrics.stop()


def scraped(port: int) -> str:
    """What Prometheus would read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_the_exporter_says_what_was_counted(port: int) -> None:
    metrics.STAGE_ATTEMPTS.clear()  # what other tests of this process have counted
    metrics.STAGE_SECONDS.clear()
    metrics.STAGE_ATTEMPTS.labels("script", "done").inc()
    metrics.STAGE_SECONDS.labels("script").observe(3)
    metrics.GATE.state("halted")
    text = scraped(port)
    assert 'ytempire_stage_attempts_total{outcome="done",stage="script"} 1.0' in text
    assert 'ytempire_stage_seconds_bucket{le="5.0",stage="script"} 1.0' in text
    assert 'ytempire_gate{ytempire_gate="halted"} 1.0' in text
    assert 'ytempire_gate{ytempire_gate="open"} 0.0' in text


def test_the_exporter_names_the_version_and_the_process(port: int) -> None:
    text = scraped(port)
    assert f'ytempire_build_info{{version="{metrics.version()}"}} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert "python_info" in text


def test_every_stage_is_there_before_it_has_done_anything(port: int) -> None:
    text = scraped(port)
    assert all(f'ytempire_retries_total{{stage="{stage.name}"}}' in text for stage in flow.STAGES)


def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as refusal:
            metrics.serve("127.0.0.1", number)
    assert str(refusal.value) == f"port {number} on 127.0.0.1 is taken: the metrics exporter cannot listen there"
    assert "YTEMPIRE_METRICS_PORT" in refusal.value.hint


def test_an_address_of_another_machine_is_named_with_its_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1 port 9101") as refusal:
        metrics.serve("192.0.2.1", 9101)
    assert "YTEMPIRE_METRICS_HOST" in refusal.value.hint


def test_a_stopped_exporter_frees_its_port_and_may_start_again() -> None:
    port = metrics.serve("127.0.0.1", 0)
    metrics.stop()
    metrics.stop()
    assert metrics.serve("127.0.0.1", port) == port
    metrics.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
