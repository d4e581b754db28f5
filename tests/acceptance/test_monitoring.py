"""A real factory under the real Prometheus and the real Alertmanager: a fault becomes a webhook, level by level."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.launch.ports import free_ports
from deploy.monitoring.rules import rules
from deploy.monitoring.scraping import prometheus
from tests.factory.running import Factory, factory
from tests.integration.deploy.monitored import GUARDIANS, MONITORING, PROCESSES, asked, exported, metrics_of
from tests.integration.deploy.tool import found, says

pytestmark = pytest.mark.slow
#: 15 minutes in 6 seconds.
_SCALE: Final = 6 / 900
_ARRIVES_WITHIN_S: Final = 60.0


class Receivers:
    """Whoever is told: everything that was posted, by the path it was posted to."""

    def __init__(self, alertmanager_port: int) -> None:
        self.alertmanager_port = alertmanager_port
        self._told: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        told = self._told

        class Webhook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # as http.server calls it
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in body["alerts"]:
                    told.put((self.path, alert))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hear(self, path: str, status: str, **labels: str) -> dict[str, Any]:
        """The next alert with these labels that comes to this path; what else comes meanwhile is let go."""
        end_s, others = time.monotonic() + _ARRIVES_WITHIN_S, []
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                came_to, alert = self._told.get(timeout=left_s)
            except queue.Empty:
                break
            if came_to == path and alert["status"] == status and labels.items() <= alert["labels"].items():
                return alert
            others.append((came_to, alert["status"], alert["labels"]))
        raise AssertionError(f"{labels} did not come to {path}; there came {others}")

    def is_muted(self, **labels: str) -> bool:
        """Whether Alertmanager keeps back the alert with these labels."""
        matchers = "&".join(f"filter={urllib.parse.quote(f'{name}={value}')}" for name, value in labels.items())
        url = f"http://127.0.0.1:{self.alertmanager_port}/api/v2/alerts?{matchers}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            [alert] = json.load(answer)
        return bool(alert["status"]["inhibitedBy"])


class Collector:
    """Takes spans by OTLP; what it was sent, as it came."""

    def __init__(self) -> None:
        self.taken: queue.Queue[bytes] = queue.Queue()
        taken = self.taken

        class Traces(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # as http.server calls it
                taken.put(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Traces)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    taking = Collector()
    yield taking
    taking.server.shutdown()
    taking.server.server_close()


@pytest.fixture(scope="module")
def watched(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    address = f"http://127.0.0.1:{collector.server.server_port}"
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with factory(tmp_path_factory.mktemp("watched"), environ=traces) as running:
        yield running


@pytest.fixture
def receivers(watched: Factory, tmp_path: Path) -> Iterator[Receivers]:
    """Told by Alertmanager what Prometheus sees of the factory."""
    looks = free_ports(2)
    tells = looks + 1
    told = Receivers(tells)
    (tmp_path / "rules.yml").write_text(rules(GUARDIANS, scale=_SCALE), encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(
        prometheus(
            (process.name for process in PROCESSES),
            first_port=watched.metrics_port,
            alertmanager=f"127.0.0.1:{tells}",
            every="1s",
            patience="1s",
        ),
        encoding="utf-8",
    )
    config = (MONITORING / "alertmanager.yml").read_text("utf-8").replace("127.0.0.1:9095", f"127.0.0.1:{told.port}")
    config = re.sub(r"(group_wait|group_interval): \S+", r"\1: 1s", config)
    (tmp_path / "alertmanager.yml").write_text(config, encoding="utf-8")
    alertmanager = (
        found("prometheus-alertmanager"),
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'told'}",
        f"--web.listen-address=127.0.0.1:{tells}",
        "--cluster.listen-address=",
    )
    looking = (
        found("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'seen'}",
        f"--web.listen-address=127.0.0.1:{looks}",
        # what fires before Prometheus knows Alertmanager is lost until it is sent again
        "--rules.alert.resend-delay=1s",
    )
    with _server(alertmanager, tells, tmp_path / "alertmanager.log"), _server(looking, looks, tmp_path / "looking.log"):
        yield told
    told.server.shutdown()
    told.server.server_close()


@contextmanager
def _server(command: tuple[str, ...], port: int, log: Path) -> Iterator[None]:
    """A server that is ready, gone after the block."""
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as process:
        try:
            end_s = time.monotonic() + _ARRIVES_WITHIN_S
            while not _ready(port):
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < end_s, log.read_text("utf-8")
                time.sleep(0.05)
            yield
        finally:
            process.kill()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_what_every_process_exports_follows_the_rules_and_all_that_is_asked_for_is_among_it(watched: Factory) -> None:
    known: set[str] = set()
    for port in range(watched.metrics_port, watched.metrics_port + len(PROCESSES)):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert says("promtool", "check", "metrics", stdin=text) == ""
        known |= exported(text)
    assert {question: unknown for question in asked() if (unknown := metrics_of(question) - known)} == {}


def test_the_attempts_at_a_video_are_spans_of_the_trace_that_its_request_came_with(
    watched: Factory, collector: Collector
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = watched.submit(topic="Why octopuses have three hearts", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    video = watched.receipt(sent)["video"]
    seen = b""
    while b"stage script" not in seen or b"stage audio" not in seen:
        body = collector.taken.get(timeout=_ARRIVES_WITHIN_S)
        assert bytes.fromhex(trace) in body
        assert video.encode() in body
        seen += body
    watched.command(type="cancel", video=video)


def test_a_guardian_that_hangs_is_told_at_level_1_then_2_and_so_is_its_return(
    watched: Factory, receivers: Receivers
) -> None:
    receivers.hear("/dead-mans-switch", "firing", alertname="DeadMansSwitch")
    pid = watched.pid_of("vitals")
    os.kill(pid, signal.SIGSTOP)
    try:
        silent = {"alertname": "GuardianSilent", "process": "vitals", "severity": "critical"}
        first = receivers.hear("/level-1", "firing", level="1", **silent)
        assert first["annotations"]["command"] == "./ytempire status"
        assert first["annotations"]["summary"].startswith("the guardian vitals does not answer")
        second = receivers.hear("/level-2", "firing", level="2", **silent)
        assert second["startsAt"] > first["startsAt"]
        assert receivers.is_muted(level="1", **silent)
    finally:
        os.kill(pid, signal.SIGCONT)
    receivers.hear("/level-2", "resolved", level="2", **silent)
