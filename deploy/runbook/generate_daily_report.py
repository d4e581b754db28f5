#!/usr/bin/env python3
"""The daily report of today, so far. Stands for `./ytempire report`; `--out FILE` writes the page."""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("report", "--day", "today"),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
