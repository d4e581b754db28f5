"""`python -m tests.fakes --port 0 --ledger FILE [--script FILE] [--seed N]`: the fakes, until they are ended.

Prints `ready PORT` when they answer. Listens on loopback only.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

import msgspec
import uvicorn

from tests.fakes.faults import Fault, Plan
from tests.fakes.ledger import Ledger
from tests.fakes.serving import Protocol, app


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description="fakes of the paid providers")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--ledger", type=Path, required=True, help="file that is appended to")
    parser.add_argument("--script", type=Path, help="JSON list of faults, in the form of tests/fakes/faults.py")
    parser.add_argument("--seed", type=int, help="draw faults for what the script leaves open")
    chosen = parser.parse_args()
    plan = Plan(chosen.seed)
    if chosen.script:
        plan.order(msgspec.json.decode(chosen.script.read_bytes(), type=list[Fault]))
    listening = socket.create_server(("127.0.0.1", chosen.port))
    config = uvicorn.Config(
        app(plan, Ledger(chosen.ledger)),
        http=Protocol,
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it answers, and where."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        sys.stdout.write(f"ready {(sockets or [])[0].getsockname()[1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
