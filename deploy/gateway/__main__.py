"""`python -m deploy.gateway`: the process that serves HTTP, until TERM."""

from __future__ import annotations

import sys

from deploy.gateway.serving import run
from streams import process

if __name__ == "__main__":
    sys.exit(process.main("gateway", run, says_ready=True))
