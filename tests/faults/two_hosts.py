"""`python -m tests.faults.two_hosts`: two hosts on one Valkey, one Postgres and one store over S3, and their faults.

Each host is a launcher of its own with its own data directory and its own cache; the first has the servers and every
line of the Procfile, the second works beside it. Videos go through both; then the second is stopped in mid-work, the
first goes on, and the second comes back with what it held; then the store refuses everybody for a while. Words,
pictures and voices are bought from the fakes, so every invariant is asked at the end. A host that is stopped stands for
one that is cut off: its connections stay open, and it says nothing on them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import msgspec
import psutil
import typer

from deploy.commands.terminal import guarded
from tests.bench import table, waiting
from tests.bench.table import Goal, Row, row
from tests.factory.running import Factory
from tests.fakes import s3
from tests.faults.ground import STAGES, Ground, ground

app = typer.Typer(name="two_hosts", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
VIDEOS: Final = 10
_BUCKET, _BELOW = "films", "factory"
#: So small that films push each other out of it: ten films of 0.2 MB and what they are made of.
_CACHE_BYTES: Final = 1_000_000
#: How long the work takes in whose middle a host is stopped.
_WORK_S: Final = "0.5"
_SETTINGS: Final = {
    "STUB_STAGE_S": _WORK_S,
    "YTEMPIRE_ARTIFACTS_CACHE_GB": f"{_CACHE_BYTES / 1e9}",
    # two factories on a small machine are slow to answer, and what is late is not what is looked for
    "YTEMPIRE_SCRIPT_TIMEOUT_S": "8",
    "YTEMPIRE_SPEECH_TIMEOUT_S": "8",
}
_HELD_BY: Final = "FROM video_stages WHERE status = 'running' AND worker LIKE ANY($1)"
_HELD: Final = f"SELECT array_agg(format('%s %s %s|%s', video_id, stage, attempt, worker)) {_HELD_BY}"
_COMMITTED: Final = """
SELECT count(*) FROM stage_attempts
 WHERE outcome = 'done' AND format('%s %s %s', video_id, stage, attempt) = ANY($1)"""
_DONE_BY: Final = """
SELECT count(*) FROM stage_attempts WHERE outcome = 'done' AND video_id = ANY($1) AND worker LIKE ANY($2)"""
_INCOMPLETE: Final = "SELECT count(*) FROM video_queue WHERE status <> 'completed'"


class Hosts(msgspec.Struct):
    """The two, and the store that they share."""

    ground: Ground
    store: s3.Store
    second: Factory

    @property
    def workers(self) -> list[str]:
        """As the record calls the second host's processes."""
        return [f"%-{stage}-{self.second.pid_of(stage)}-%" for stage in STAGES]

    def are_whole(self) -> bool:
        """Whether each stage has its process on the second host."""
        with contextlib.suppress(LookupError):
            return len(self.workers) == len(STAGES)
        return False

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """The second host stands still until the block ends, its launcher, too."""
        assert self.second.process is not None
        pids = [self.second.process.pid, *(child.pid for child in self.second.children())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def cached_bytes(self) -> int:
        """What the larger of the two caches has."""
        folders = (self.ground.factory.folder / "cache", self.second.folder / "cache")
        return max(sum(path.stat().st_size for path in folder.iterdir()) for folder in folders)


@contextlib.contextmanager
def hosts(folder: Path, *, seed: int) -> Iterator[Hosts]:
    """Two that run; nothing is left of their processes after the block."""
    with s3.running(folder) as store:
        environ = {**_SETTINGS, **store.environ(f"{store.bucket(_BUCKET)}/{_BELOW}")}
        with ground(folder, seed=seed, environ=environ) as made:
            made.films = lambda: _films(store)
            first = made.factory
            made.beside = Factory(
                folder / "beside",
                procfile=folder / "Procfile",
                environ={name: value for name, value in first.environ.items() if not name.endswith("_PORT")}
                | {
                    "REDIS_URL": first.redis_url,
                    "DATABASE_URL": first.database_url,
                    "YTEMPIRE_ACTORS": ",".join(STAGES),
                },
            )
            made.beside.start()
            yield Hosts(made, store, made.beside)


def _films(store: s3.Store) -> dict[str, bytes]:
    names = (name for name in store.names(_BUCKET) if name.startswith(f"{_BELOW}/videos/") and name.endswith(".mp4"))
    return {Path(name).stem: store.read(f"{_BUCKET}/{name}") or b"" for name in names}


def play(
    folder: Path, *, videos: int, cut_s: float = 0.0, seed: int, say: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """The whole run: its figures, and every invariant that did not hold."""
    with hosts(folder, seed=seed) as both:
        say("two hosts are up")
        rows = [
            *_through_both(both, videos),
            *_one_cut_off(both, videos, cut_s),
            *_store_away(both, max(2, videos // 3)),
        ]
        both.ground.until_quiet()
        rows += [
            row("videos that did not complete", both.ground.value(_INCOMPLETE), "", Goal("=", 0)),
            row("larger cache", both.cached_bytes() / 1e6, "MB", Goal("<=", _CACHE_BYTES / 1e6)),
        ]
        broken = both.ground.broken()
        broken += [f"{name} was left in the store" for name in both.store.names(_BUCKET) if name.endswith(".part")]
        broken += both.ground.close()
    return [*rows, row("broken promises", len(broken), "", Goal("=", 0))], broken


def _through_both(both: Hosts, videos: int) -> Iterator[Row]:
    began_s = time.monotonic()
    made = both.ground.submit(videos)
    both.ground.until_ended(*made)
    yield row(f"{videos} videos through both hosts", time.monotonic() - began_s, "s", Goal("<=", 60))
    done = both.ground.value(_DONE_BY, made, both.workers)
    stages = videos * len(STAGES)
    yield row("stages of theirs on the second", done, f"of {stages}", Goal(">=", 1))
    yield row("stages of theirs on the first", stages - done, f"of {stages}", Goal(">=", 1))


def _one_cut_off(both: Hosts, videos: int, cut_s: float) -> Iterator[Row]:
    """The second host is stopped with work in its hands, until the first has done everything, and for so long."""
    workers = both.workers
    made = both.ground.submit(videos)
    both.ground.until(lambda: both.ground.value(_HELD, workers))
    with both.cut_off():
        began_s = time.monotonic()
        zombies = dict(held.split("|") for held in both.ground.value(_HELD, workers) or [])
        both.ground.until_ended(*made)
        elsewhere_s = time.monotonic() - began_s
        before = both.ground.films()
        waiting.wait(max(0.0, cut_s - elsewhere_s))
    yield row("attempts in its hands when it was cut off", len(zombies), "", Goal(">=", 1))
    yield row("until all was done elsewhere", elsewhere_s, "s", Goal("<=", 30))
    both.ground.until(lambda: zombies.keys() <= _over(both.second, zombies) and both.are_whole())
    committed = both.ground.value(_COMMITTED, list(zombies))
    yield row("of these it committed when it was back", committed, "", Goal("=", 0))
    changed = sum(film != before[video] for video, film in both.ground.films().items())
    yield row("films that changed when it was back", changed, "", Goal("=", 0))


def _over(host: Factory, zombies: Mapping[str, str]) -> set[str]:
    """Which attempts this host says that it has ended, or have ended with their process.

    One that stood still for a minute takes itself for hung, and is started again.
    """
    said = {
        f"{event['video']} {event['stage']} {event['attempt']}"
        for event in host.events()
        if event.get("event") == "stage.ended"
    }
    gone = {attempt for attempt, worker in zombies.items() if not psutil.pid_exists(int(worker.split("-")[-2]))}
    return said | gone


def _store_away(both: Hosts, videos: int) -> Iterator[Row]:
    """The store refuses both hosts until work waits for it; the one that came back works again."""
    both.store.refuse_all()
    try:
        made = both.ground.submit(videos)
        both.ground.until(lambda: _waits(both.ground.factory) + _waits(both.second) >= videos)
        done = both.ground.value(_DONE_BY, made, ["%"])
    finally:
        both.store.refuse_all(refuse=False)
    yield row("stages done while the store refused both", done, "", Goal("=", 0))
    made += both.ground.submit(videos)
    seconds = both.ground.until_ended(*made)
    yield row("until all was done after that, and more", seconds, "s", Goal("<=", 30))
    done = both.ground.value(_DONE_BY, made, both.workers)
    yield row("stages since then on the host that was back", done, "", Goal(">=", 1))


def _waits(host: Factory) -> int:
    return sum(event.get("event") == "stage.put_off" for event in host.events())


@app.command()
def two_hosts(
    *,
    videos: Annotated[
        int, typer.Option(min=2, help="How many go through both, and as many again through one.")
    ] = VIDEOS,
    cut: Annotated[float, typer.Option(help="Seconds that the cut lasts at least.")] = 0.0,
    seed: Annotated[int, typer.Option(help="What chance is made of; default: the time.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Also write the rows there.", metavar="FILE")] = None,
) -> None:
    """Two hosts, an S3-compatible store, a cut and an outage, on free ports in an empty folder. Exit code 1: not so."""
    seed = seed or int(time.time())
    with TemporaryDirectory(prefix="ytempire-two-hosts-") as folder:
        rows, broken = play(Path(folder), videos=videos, cut_s=cut, seed=seed, say=typer.echo)
    typer.echo("\n".join(("", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, seed {seed}", *_shown(rows, broken))))
    if json is not None:
        table.write_json(rows, json)
    raise typer.Exit(table.exit_code(rows))


def _shown(rows: Sequence[Row], broken: Sequence[str]) -> Iterator[str]:
    yield from table.lines(rows)
    yield from broken


def main() -> int:
    """Plays it; Ctrl-C and TERM end it, with all it started."""
    waiting.listen()
    return guarded(lambda: app(prog_name="python -m tests.faults.two_hosts"))


if __name__ == "__main__":
    sys.exit(main())
