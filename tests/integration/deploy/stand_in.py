"""A process that behaves as its one argument says, in place of an actor: steady, stubborn, crashing or parent."""

import http.server
import os
import signal
import subprocess
import sys


class Exporter(http.server.BaseHTTPRequestHandler):
    """Answers every GET as an exporter would."""

    def do_GET(self) -> None:
        """Well."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def main(behaviour: str) -> None:
    """Behave so."""
    print(f"{behaviour} begins", flush=True)  # noqa: T201 - the factory shows it
    if behaviour == "crashing":
        sys.exit("no settings for me")
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "parent":
        subprocess.Popen((sys.executable, "-c", "import time; time.sleep(600)"))
    http.server.HTTPServer(("127.0.0.1", int(os.environ["YTEMPIRE_METRICS_PORT"])), Exporter).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
