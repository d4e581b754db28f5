#!/usr/bin/env python3
"""A note (errata 17, 26): uvloop is always on, pools and batches are settings with the runbook's defaults.

DB_POOL_MIN, DB_POOL_MAX: YTEMPIRE_DB_POOL_MIN, YTEMPIRE_DB_POOL_MAX for each process. PARALLEL_WORKERS:
YTEMPIRE_MAX_CONCURRENT. All settings are in .env.example. Run, it shows what this machine has.
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("doctor",),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
