#!/usr/bin/env python3
"""A queue that does not move. Stands for an integrity check and a look, and interrupts no render (errata 4, 5, 19).

The stuck guardian hands back dead work within seconds by itself; the check publishes again what no stream holds, and
`requeue` shows what was given up on (`requeue --all` puts it back). A factory that is held goes on with `resume`.
"""

import subprocess
import sys
from pathlib import Path

YTEMPIRE = Path(__file__).resolve().parents[2] / "ytempire"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("cli", "XADD", "stream:notices", "*", "type", "integrity.check", "by", "operator"),
    ("status", "--once"),
    ("requeue",),
)

ARGS = {command: () if command[0] == "cli" else tuple(sys.argv[1:]) for command in COMMANDS}
codes = [subprocess.run((YTEMPIRE, *command, *ARGS[command]), check=False).returncode for command in COMMANDS]
sys.exit(max(codes, key=abs))
