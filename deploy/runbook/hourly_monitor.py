#!/usr/bin/env python3
"""The hourly look: cost, queue, success rate, resources. Stands for `./ytempire monitor`.

Exit code 1 and a line for each thing that is off. The gpu guardian asks for memory back by itself.
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (("monitor",),)

codes = [subprocess.run((YTEMPIRE, *command, *sys.argv[1:]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
