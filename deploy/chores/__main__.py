"""`python -m deploy.chores`: the process that does chores and sends messages, until TERM."""

from __future__ import annotations

import sys

from deploy.chores.doing import run
from streams import process

if __name__ == "__main__":
    sys.exit(process.main("chores", run))
