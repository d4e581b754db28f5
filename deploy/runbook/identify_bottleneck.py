#!/usr/bin/env python3
"""The slowest stages of the last hour. Stands for `./ytempire bottleneck`."""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("bottleneck",),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
