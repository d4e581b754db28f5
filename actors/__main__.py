"""`python -m actors NAME`: runs one actor in this process until TERM.

A stage's module is imported only here and only when its process is the one, so that no process carries another's
libraries.
"""

from __future__ import annotations

import sys
from importlib import import_module

from schema import flow

#: Where each stage's work is, and how many deliveries its process works on at once.
_WORK = {
    "script": ("actors.script", "write", 4),
    "media": ("actors.media", "collect", 2),
    "audio": ("actors.audio", "synthesise", 1),
    "render": ("actors.render", "render", 1),
    "quality": ("actors.quality", "check", 1),
}
#: By stage; who scales a stage counts in these.
THREADS = {name: threads for name, (_, _, threads) in _WORK.items()}
_INTAKE_THREADS = 8
NAMES = ("intake", "control", "dispatch", *_WORK)


def main(name: str) -> int:
    """Run the actor `name`; returns the exit code."""
    if name in _WORK:
        return _stage(name)
    if name == "intake":
        from actors.intake import Intake  # noqa: PLC0415 - see the module docstring
        from streams import names, worker  # noqa: PLC0415

        return worker.main(name, names.INTAKE_SUBSCRIPTION, Intake, threads=_INTAKE_THREADS, gated=False)
    if name in ("control", "dispatch"):
        from streams import process  # noqa: PLC0415

        return process.main(name, import_module(f"actors.{name}").run)
    print(f"there is no actor {name!r}; there are {', '.join(NAMES)}", file=sys.stderr)  # noqa: T201 - for a person
    return 2


def _stage(name: str) -> int:
    from actors.stage import StageActor  # noqa: PLC0415
    from streams import names, worker  # noqa: PLC0415

    module, function, threads = _WORK[name]
    stage, work = flow.STAGE[name], getattr(import_module(module), function)
    return worker.main(
        name, names.stage_subscription(stage), lambda process: StageActor(process, stage, work), threads=threads
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))  # noqa: PLR2004 - the program and one name
