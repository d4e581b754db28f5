"""`python -m tests.fuzz [--cases N] [--only ROW] [--seed S] [--json FILE]`: gives broken input to every reader there is.

Rows are groups (events, http, answers, media) or one of a group, by commas. A case is its row, the seed and its number:
`--only ROW --seed S --number N` plays that one again and shows it. With `--json` every row that is done is kept, and a
run of the same seed and size goes on behind it. Exit code 1 when anything crashed, hung, or refused without a reason.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from deploy.commands.terminal import guarded
from tests.bench import waiting
from tests.bench.table import columns
from tests.fuzz import playing
from tests.fuzz.judging import Tally

app = typer.Typer(name="ytempire fuzz", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
_FULL: Final = 100_000
_HEAD: Final = ("kind", "cases", "refused", "accepted", "crashes", "hangs", "silent", "worst, s", "peak, MB")


class Kept(msgspec.Struct):
    """The rows of a run that are done."""

    seed: int
    cases: int
    rows: list[Tally] = []


@app.command()
def fuzz(
    *,
    cases: Annotated[int, typer.Option(min=1, help="How many, of all rows together.")] = _FULL,
    only: Annotated[str, typer.Option(help="Rows or groups of them, by commas.", metavar="ROW")] = "",
    seed: Annotated[int, typer.Option(help="What chance is made of; default: the time.")] = 0,
    number: Annotated[int, typer.Option(help="Only this one of one row; shows it.", metavar="N")] = -1,
    json: Annotated[
        Path | None, typer.Option("--json", help="Keep what is done there; go on behind it.", metavar="FILE")
    ] = None,
) -> None:
    """Send input that has had an accident to everything that reads from outside, and see that each answer is one.

    Servers of its own on free ports; nothing of yours is touched.
    """
    try:
        rows = list(playing.chosen(only))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    kept = _kept(json, seed or int(time.time()), cases)
    typer.echo(f"{cases:,} cases in all rows together, seed {kept.seed}")
    if number >= 0:
        if len(rows) != 1:
            raise typer.BadParameter("a number is one of a row", param_hint="--only")
        found = playing.played(rows[0], kept.seed, 1, first=number, say=typer.echo)
        raise typer.Exit(_shown([found], kept.seed))
    for row in rows:
        if all(one.row != row.name for one in kept.rows):
            wanted = max(1, round(row.share * cases / _FULL))
            kept.rows.append(playing.played(row, kept.seed, wanted, say=typer.echo))
            if json is not None:
                part = json.with_name(json.name + ".part")
                part.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
                part.replace(json)
    names = [row.name for row in rows]
    raise typer.Exit(_shown([one for one in kept.rows if one.row in names], kept.seed))


def _kept(path: Path | None, seed: int, cases: int) -> Kept:
    if path is None or not path.exists():
        return Kept(seed, cases)
    kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    if kept.cases != cases:
        message = f"{path} is of {kept.cases:,} cases, not {cases:,}: name another file"
        raise typer.BadParameter(message, param_hint="--json")
    return kept


def _shown(rows: list[Tally], seed: int) -> int:
    """Print the table and what was found; the exit code."""
    total = Tally("all")
    for row in rows:
        total.add(row)
    typer.echo("")
    for line in columns(_HEAD, [_cells(row) for row in (*rows, total)]):
        typer.echo(line)
    for finding in total.findings:
        typer.echo(f"\n{finding.row} {finding.number}, {finding.what}: {finding.said}")
        typer.echo(f"  {finding.size:,} bytes: {finding.case}")
        typer.echo(f"  again: python -m tests.fuzz --only {finding.row} --seed {seed} --number {finding.number}")
    return int(total.bad > 0)


def _cells(row: Tally) -> tuple[str, ...]:
    counts = (row.cases, row.refused, row.accepted, row.crashes, row.hangs, row.silent)
    return (row.row, *(f"{count:,}" for count in counts), f"{row.worst_s:.2f}", f"{row.peak_mb:.0f}")


def main() -> int:
    """Plays them; Ctrl-C and TERM end it, with all it started."""
    os.environ.setdefault("PYTHONHASHSEED", "0")
    waiting.listen()
    return guarded(lambda: app(prog_name="ytempire fuzz"))


if __name__ == "__main__":
    sys.exit(main())
