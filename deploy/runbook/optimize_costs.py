#!/usr/bin/env python3
"""Cheaper models, 720p, 128k, three videos at once. Stands for `./ytempire mode economy` (errata 18).

`./ytempire mode normal` ends it; the cost guardian orders and ends it by itself, too.
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("mode", "economy"),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
