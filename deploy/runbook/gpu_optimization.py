#!/usr/bin/env python3
"""A note (errata 1, 27): the card is YTEMPIRE_GPU, NVENC's preset YTEMPIRE_NVENC_PRESET (p1 fastest, p7 best).

Variable rate, quality 23, 4M to 6M are kept as the runbook has them. Run, it encodes on the card and compares.
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("doctor", "--gpu"),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
