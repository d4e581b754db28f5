"""Every command of docs/runbook.md, typed as it stands into a shell after `eval "$(./ytempire env)"`, in its order."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.launch.plan import ROOT
from deploy.launch.ports import is_free
from tests.factory.running import Factory

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "runbook.md"
_BLOCK = re.compile(r"^```(bash|sql)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_GATEWAY_PORT = 8000
#: What a machine may lack, by how the command begins, and how that is said; anything else must work.
NOT_HERE = {
    "nvidia-smi": "no NVIDIA driver",
    "df -h": "no disk of that name",
}
#: Verdicts that a factory in a test may rightly get: it has no yesterday, no card, no backups of its own.
MAY_COMPLAIN = ("./ytempire check", "./ytempire monitor", "./ytempire wrap", "deploy/runbook/emergency_restart.sh")


def commands() -> Iterator[str]:
    """Each command of the page, a statement of SQL as the psql line that runs it."""
    for kind, text in _BLOCK.findall(PAGE.read_text("utf-8")):
        if kind == "sql":
            yield from (f"psql -v ON_ERROR_STOP=1 -c {_quoted(part)}" for part in text.split(";") if part.strip())
            continue
        command = ""
        for line in text.splitlines():
            command = f"{command}\n{line}" if command else line
            # a quote that is open goes on in the next line
            if command.count('"') % 2 == 0:
                yield command
                command = ""


def _quoted(statement: str) -> str:
    return "'" + statement.strip().replace("'", "'\\''") + ";'"


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[Factory]:
    made = Factory(tmp_path / "data")
    if is_free(_GATEWAY_PORT):
        made.environ["YTEMPIRE_GATEWAY_PORT"], made.gateway_port = str(_GATEWAY_PORT), _GATEWAY_PORT
    made.start()
    yield made
    made.stop()
    made.close()


def test_every_command_of_the_runbook_works_as_it_is_typed(factory: Factory) -> None:
    exports = subprocess.run(
        (ROOT / "ytempire", "env", "--data", str(factory.folder)), capture_output=True, text=True, check=True
    ).stdout
    failed = []
    for command in commands():
        typed = command.replace(f"localhost:{_GATEWAY_PORT}", f"localhost:{factory.gateway_port}")
        done = subprocess.run(
            ("bash", "-c", f"{exports}\nexport YTEMPIRE_DATA_DIR={factory.folder}\nset -o pipefail\n{typed}"),
            cwd=ROOT,
            env=factory.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        missing = next((why for begin, why in NOT_HERE.items() if command.startswith(begin)), "")
        fine = done.returncode == 0 or bool(missing)
        fine = fine or (command.startswith(MAY_COMPLAIN) and done.returncode == 1 and "Traceback" not in done.stderr)
        outcome = "works" if done.returncode == 0 else f"not here: {missing}" if missing else f"exit {done.returncode}"
        print(f"{outcome:28} {command.splitlines()[0]}")  # noqa: T201 - the outcome of each line is what is asked for
        if not fine:
            failed.append(f"{command}\n{done.stdout[-600:]}{done.stderr[-600:]}")
    assert not failed, "\n\n".join(failed)
