"""Two releases of the product at once: today's, and a next one that a copy of the tree is edited into.

The next one does what a release with additions does: another number, an event with a field more, a document with a
field more, and a migration that adds a column, which its own code fills. An edit that finds nothing to edit is refused.
A site is a checkout that processes are started from: what is brought to it runs at their next start, as after a
`git pull`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from deploy.launch.plan import ROOT
from schema.record.migrations import migrations
from schema.release import RELEASE
from tests.factory.running import Factory
from tests.faults.ground import Ground, ground

NEXT: Final = "99.0.0"
_PACKAGES: Final = ("schema", "streams", "actors", "guardians", "deploy", "tests")
#: What the next release writes otherwise: by file, each text and what takes its place.
_EDITS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "pyproject.toml": ((f'\nversion = "{RELEASE}"\n', f'\nversion = "{NEXT}"\n'),),
    "schema/events/fact.py": (('    reason: str = ""\n\n\n', '    reason: str = ""\n    hue: str = "warm"\n\n\n'),),
    "schema/documents.py": (('    language: str = "en"\n', '    language: str = "en"\n    tone: str = "calm"\n'),),
    "schema/record/claiming.py": (
        ("(video_id, stage, attempt, worker) VALUES ($1, $2, $3, $4)",
         f"(video_id, stage, attempt, worker, release) VALUES ($1, $2, $3, $4, '{NEXT}')"),
    ),
}  # fmt: skip
_MIGRATION: Final = """\
-- expand: which release made an attempt; whoever does not know the column leaves it empty.
ALTER TABLE stage_attempts ADD COLUMN release text NOT NULL DEFAULT '';
"""
#: Who runs on the second host: all that works, and who mends.
_BESIDE: Final = (
    *("intake", "control", "dispatch", "script", "media", "audio", "render", "quality", "integrity", "stuck"),
)
#: How long the work takes that is drained in its middle.
_WORK_S: Final = "1"
#: Two factories on a small machine are slow to answer, and what is late is not what is looked for.
_PATIENT: Final = {"YTEMPIRE_SCRIPT_TIMEOUT_S": "8", "YTEMPIRE_SPEECH_TIMEOUT_S": "8"}


def copy(to: Path) -> Path:
    """Today's release, as a checkout of its own."""
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, to / name)
    for name in ("Procfile", "pyproject.toml"):
        shutil.copy2(ROOT / name, to)
    return to


def copy_next(to: Path) -> Path:
    """The next release likewise; raises LookupError where an edit finds nothing to edit."""
    copy(to)
    for name, edits in _EDITS.items():
        text = (to / name).read_text(encoding="utf-8")
        for old, new in edits:
            if text.count(old) != 1:
                raise LookupError(f"{name} has {old!r} {text.count(old)} times: the next release cannot be made of it")
            text = text.replace(old, new)
        (to / name).write_text(text, encoding="utf-8")
    number = migrations()[-1].number + 1
    (to / f"schema/record/sql/{number:04}_release_of_attempts.sql").write_text(_MIGRATION, encoding="utf-8")
    return to


def swap(folder: Path) -> None:
    """Bring the other release to the site of the first host, or the one that was there before; what runs is left."""
    between = folder / "between"
    (folder / "site").rename(between)
    (folder / "aside").rename(folder / "site")
    between.rename(folder / "aside")


@contextlib.contextmanager
def upgrading(folder: Path, *, seed: int = 0) -> Iterator[Ground]:
    """A ground with two hosts: a whole factory of today's release, and beside it the work of the next."""
    folder.mkdir(parents=True)
    site, upgraded = copy(folder / "site"), copy_next(folder / "next")
    copy_next(folder / "aside")
    # a checkout is named by its path alone, not by where it is started
    settings = {"PYTHONSAFEPATH": "1", "STUB_STAGE_S": _WORK_S, **_PATIENT}
    with ground(folder, seed=seed, environ={**settings, "PYTHONPATH": str(site)}) as made:
        first = made.factory
        lines = (folder / "Procfile").read_text(encoding="utf-8").splitlines(keepends=True)
        procfile = folder / "Procfile.beside"
        procfile.write_text("".join(line for line in lines if line.partition(":")[0] in _BESIDE), encoding="utf-8")
        environ = {name: value for name, value in first.environ.items() if not name.endswith("_PORT")} | {
            "REDIS_URL": first.redis_url,
            "DATABASE_URL": first.database_url,
            "YTEMPIRE_ARTIFACTS_URL": str(first.folder),
            "PYTHONPATH": str(upgraded),
        }
        made.beside = Factory(folder / "beside", procfile=procfile, environ=environ)
        made.beside.start()
        yield made
