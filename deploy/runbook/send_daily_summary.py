#!/usr/bin/env python3
"""The report of today, so far, to whom YTEMPIRE_ALERTS_TO names. Stands for `./ytempire report --send`."""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("report", "--day", "today", "--send"),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
