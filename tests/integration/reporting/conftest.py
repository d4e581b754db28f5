"""A webhook that writes down what it is told, and refuses as often as it is asked to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class Sink:
    """What came to a webhook, in order."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        self.refusals = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = sink.refusals > 0
                sink.refusals -= refused
                if not refused:
                    sink.told.append(json.loads(body))
                self.send_response(500 if refused else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/alerts"

    @property
    def titles(self) -> list[str]:
        """What people saw first."""
        return [one["title"] for one in self.told]


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A webhook on a free port."""
    made = Sink()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()
