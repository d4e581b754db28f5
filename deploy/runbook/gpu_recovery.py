#!/usr/bin/env python3
"""Memory of the graphics card. Stands for `release_gpu` and a throttle of two GPU jobs at once (errata 9, 10).

Each render process frees what it keeps and does not use; no process is killed. To end the throttle:
./ytempire cli XADD stream:control '*' type throttle jobs all
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("cli", "XADD", "stream:control", "*", "type", "release_gpu", "by", "operator"),
    ("cli", "XADD", "stream:control", "*", "type", "throttle", "jobs", "2", "by", "operator"),
)

codes = [subprocess.run((YTEMPIRE, *command), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
