#!/usr/bin/env python3
"""Shorter limits, a faster voice, no perceptual check. Stands for `./ytempire mode speed` (errata 18).

A film is still decoded and measured: duration and sync are checked in every mode. `./ytempire mode normal` ends it.
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("mode", "speed"),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
