"""`python -m tests.faults`: breaks a real factory again and again; `./ytempire faults` is the same."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.commands.terminal import guarded
from tests.bench import page as pages
from tests.bench import waiting
from tests.bench.table import columns
from tests.faults import soak_report, sweep
from tests.faults.ground import ground
from tests.faults.matrix import CASES, ROWS
from tests.faults.soak import SETTINGS, Soak
from tests.simulation.mutations import MUTATIONS, found

app = typer.Typer(name="ytempire faults", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
_LONG_ROUNDS = 5
_MUTATED_SEEDS = range(300)
BEGIN: Final = "<!-- from here on: ./ytempire faults --long --page FILE -->"
SOAKED: Final = "<!-- from here on: ./ytempire faults --soak 2 --folder DIR --page FILE -->"


@app.command()
def faults(
    *,
    long: Annotated[bool, typer.Option("--long", help="Every case, five times each, not one of each kind.")] = False,
    only: Annotated[str, typer.Option(help="Rows, by commas: every case of them.", metavar="ROW")] = "",
    seed: Annotated[int, typer.Option(help="What chance is made of; default: the time.")] = 0,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Take each guard out of a simulated factory; something must turn red.")
    ] = False,
    soak: Annotated[
        float, typer.Option(help="Instead: mixed work and a fault every few seconds, until so many hours are full.")
    ] = 0.0,
    folder: Annotated[
        Path | None, typer.Option(help="Where a soak keeps everything, and goes on.", metavar="DIR")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Also put the table there, between its marks.", metavar="FILE")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Keep each run there; go on where it ends.", metavar="FILE")
    ] = None,
) -> None:
    """Break a factory of its own in every way there is, and see that nothing is lost and nothing billed twice.

    Real servers and processes on free ports and an empty folder; nothing of yours is touched. Exit code 1 when anything
    did not hold.
    """
    if mutate:
        raise typer.Exit(_mutate())
    if soak:
        if folder is None:
            raise typer.BadParameter("a soak needs a folder that it can go on in", param_hint="--folder")
        raise typer.Exit(_soak(soak, folder, seed or int(time.time()), page))
    rows = _rows(only)
    wanted = [case for case in CASES if (case.row in rows if rows else long or case.short)]
    chosen = [case for case in wanted if long or not case.once]
    if page is not None:
        pages.check(page, BEGIN)
    kept = sweep.Journal(journal)
    seed = seed or (kept.runs[-1].seed if kept.runs else int(time.time()))
    typer.echo(f"{len(chosen)} faults, seed {seed}")
    rounds = _LONG_ROUNDS if long else 1
    try:
        runs = sweep.play(chosen, rounds=rounds, seed=seed, journal=kept, say=typer.echo)
    except KeyboardInterrupt:
        typer.echo(f"stopped after {len(kept.runs)} runs" + (f"; go on with --journal {journal}" if journal else ""))
        raise typer.Exit(130) from None
    head, *body = sweep.cells(runs)
    for line in ("", *columns(head, body)):
        typer.echo(line)
    if page is not None:
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, seed {seed}, {len(runs)} runs:"
        pages.put(page, BEGIN, (when, "", *pages.table([head, *body])))
    raise typer.Exit(int(any(run.broken for run in runs)))


def _rows(only: str) -> set[int]:
    words = only.replace(",", " ").split()
    if unknown := [word for word in words if word not in map(str, ROWS)]:
        raise typer.BadParameter(f"got {unknown[0]!r}; rows are {', '.join(map(str, ROWS))}", param_hint="--only")
    return {int(word) for word in words}


def _mutate() -> int:
    """Says of each guard by which check it is missed; 1 where one is not."""
    survived = 0
    for number, mutation in enumerate(MUTATIONS, start=1):
        red = found(mutation, _MUTATED_SEEDS)
        survived += red is None
        by = "NOT FOUND" if red is None else f"seed {red[0]}: {red[1][0]}"
        typer.echo(f"{number} of {len(MUTATIONS)}: {mutation.name} ({mutation.removes}): {by}")
    typer.echo(f"{len(MUTATIONS) - survived} of {len(MUTATIONS)} found")
    return int(survived > 0)


def _soak(hours: float, folder: Path, seed: int, page: Path | None) -> int:
    """Soaks until it has lasted so long, over all its runs; 1 where an invariant did not hold."""
    if page is not None:
        pages.check(page, SOAKED)
    try:
        with ground(folder.resolve(), seed=seed, environ=SETTINGS) as where:
            soaking = Soak(where, folder / "soak.jsonl", typer.echo, seed=seed)
            typer.echo(f"seed {seed}, {soaking.at_s / 60:.0f} of {hours * 60:.0f} min are there")
            soaking.until(hours * 3600)
            samples = soaking.samples
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with --folder {folder}")
        return 130
    head, *body = soak_report.cells(samples)
    for line in (soak_report.summary(samples), "", *columns(head, body)):
        typer.echo(line)
    (folder / "soak.svg").write_text(soak_report.plot(samples), encoding="utf-8")
    if page is not None:
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {soak_report.summary(samples)}."
        pages.put(page, SOAKED, (when, "", "![what must not grow](soak.svg)", "", *pages.table([head, *body])))
        page.with_name("soak.svg").write_text(soak_report.plot(samples), encoding="utf-8")
    return int(any(sample.broken for sample in samples))


def main() -> int:
    """Plays them; Ctrl-C and TERM end it, with all it started."""
    waiting.listen()
    return guarded(lambda: app(prog_name="ytempire faults"))


if __name__ == "__main__":
    sys.exit(main())
