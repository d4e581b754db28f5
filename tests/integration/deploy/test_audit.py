"""The look for packages with known holes: red for a hole, and for nothing else; against a database of our own."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.launch.plan import ROOT

needs_uv = pytest.mark.skipif(
    not (ROOT / ".tools/bin/uv").exists() and not os.environ.get("CI"), reason="./ytempire test brings uv"
)
pytestmark = needs_uv


class _Database(http.server.BaseHTTPRequestHandler):
    """Answers as OSV does; each package in `holes` has one."""

    holes: tuple[str, ...] = ()

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _say(self, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        hole = {"vulns": [{"id": "OSV-0-1", "modified": "2026-01-01T00:00:00Z"}]}
        self._say({"results": [hole if one["package"]["name"] in self.holes else {} for one in asked]})

    def do_GET(self) -> None:
        made = "2026-01-01T00:00:00Z"
        self._say({"id": "OSV-0-1", "summary": "a hole", "modified": made, "published": made, "affected": []})


@contextmanager
def _database(*holes: str) -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), type("Database", (_Database,), {"holes": holes})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _audit(url: str, **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        (ROOT / ".ci/audit",),
        env={**os.environ, "AUDIT_URL": url, "NO_PROXY": "127.0.0.1", "UV_HTTP_RETRIES": "0", **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_hole_in_a_locked_package_is_red_and_named() -> None:
    with _database("msgspec") as url:
        code, said = _audit(url)
    assert (code, "OSV-0-1" in said, "msgspec" in said) == (1, True, True), said


def test_no_hole_is_green() -> None:
    with _database() as url:
        code, said = _audit(url)
    assert (code, "NOT AUDITED" in said) == (0, False), said


def test_a_database_that_does_not_answer_is_said_aloud_and_is_red_only_where_that_was_asked_for() -> None:
    code, said = _audit("http://127.0.0.1:1")
    assert (code, "NOT AUDITED" in said) == (0, True), said
    code, said = _audit("http://127.0.0.1:1", AUDIT_REQUIRED="1")
    assert code != 0, said
