"""`python -m tests.bench NAME`: runs one bench; `./ytempire bench NAME` is the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.commands.terminal import guarded
from tests.bench import gateway as asking
from tests.bench import table, waiting
from tests.bench.bus.lab import Options
from tests.bench.bus.run import run
from tests.bench.halt import run as halting
from tests.bench.money import Money, measure
from tests.bench.render.asked import Options as Rendering
from tests.bench.scale import run as scaling

app = typer.Typer(name="ytempire bench", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(no_args_is_help=True)
def bench() -> None:
    """Measure beside peers and beside the limit; exit code 1 when a goal is missed."""


@app.command()
def bus(
    *,
    kill9: Annotated[bool, typer.Option("--kill9", help="Also kill workers in mid-job.")] = False,
    limit_s: Annotated[float, typer.Option("--limit", help="Seconds to wait for a killed worker's job.")] = 20.0,
    long: Annotated[bool, typer.Option("--long", help="A job of 60 s with a lease of 3 s, not 12 s with 1 s.")] = False,
    memory: Annotated[int, typer.Option(help="Settled entries of the memory row.", min=1000)] = 100_000,
    rounds: Annotated[int | None, typer.Option(help="Default: as many as fit, at most 3.", min=1)] = None,
    jobs: Annotated[int, typer.Option(help="Jobs of ours; slower peers get fewer.", min=100)] = 20_000,
    in_flight: Annotated[int, typer.Option(help="Taken and not acknowledged, where known.", min=8)] = 64,
    only: Annotated[str, typer.Option(help="ours, bare, ceiling, dramatiq, taskiq, ... by commas.")] = "",
    server: Annotated[Literal["valkey", "redis"], typer.Option(help="Ours, or redis-server on PATH.")] = "valkey",
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """The bus beside other task queues on Redis, dramatiq's own limit, and the bare client."""
    options = Options(
        server=server,
        rounds=rounds,
        jobs=jobs,
        in_flight=in_flight,
        only=tuple(name for name in only.replace(",", " ").split()),
        kill9=kill9,
        limit_s=limit_s,
        long_job_s=60.0 if long else 12.0,
        long_lease_s=3.0 if long else 1.0,
        memory_jobs=memory,
    )
    rows = run(options, typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


@app.command()
def money(
    *,
    costs: Annotated[int, typer.Option(help="Rows of costs that a call is measured beside.", min=1)] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="Each is measured so often, in turn.", min=1)] = 7,
    calls: Annotated[int, typer.Option(help="Calls of a round.", min=10)] = 300,
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """What reserve, sent and settle cost a call, at one row of costs and at a million."""
    rows = measure(Money(costs=costs, rounds=rounds, calls=calls), typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


@app.command()
def halt(
    *,
    long: Annotated[bool, typer.Option("--long", help="1,000 cycles of halt and resume, not 200.")] = False,
    processes: Annotated[int, typer.Option(help="Whose gates shut.", min=12)] = 32,
    rounds: Annotated[int, typer.Option(help="Idle halts; half as many while films are made.", min=2)] = 100,
    without_redis: Annotated[int, typer.Option(help="Halts with Redis stopped; half as many killed.", min=2)] = 10,
    halts: Annotated[int, typer.Option(help="Halts against processes that buy.", min=1)] = 1_000,
    cycles: Annotated[int, typer.Option(help="Halts and resumes over a busy factory.", min=1)] = 200,
    waiting: Annotated[int, typer.Option(help="Videos that wait when Redis is wiped.", min=0)] = 10_000,
    watched_s: Annotated[float, typer.Option("--watched", help="Seconds that guardians are watched.", min=1)] = 30.0,
    only: Annotated[str, typer.Option(help="gates, money, work, rebuild, guardians, by commas.")] = "",
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """How soon a halt holds, and that no work is lost and no money spent by it."""
    options = halting.Options(
        processes=processes,
        rounds=rounds,
        films=rounds // 2,
        stopped=without_redis,
        killed=without_redis // 2,
        halts=halts,
        cycles=1_000 if long else cycles,
        waiting=waiting,
        watched_s=watched_s,
        only=tuple(only.replace(",", " ").split()),
    )
    rows = halting.run(options, typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


@app.command()
def render(
    *,
    rounds: Annotated[int | None, typer.Option(help="Default: as many as fit, at most 3.", min=1)] = None,
    long: Annotated[bool, typer.Option("--long", help="MoviePy on every film, memory as usual, 200 faults.")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Also the film of stills on the card.")] = False,
    tiny: Annotated[bool, typer.Option("--tiny", help="Films of 2 s: to see that all works.")] = False,
    only: Annotated[
        str, typer.Option(help="still, upright, clips, memory, jitter, captions, loudness, faults, by commas.")
    ] = "",
    contestants: Annotated[str, typer.Option(help="ours, bare, ffmpeg, moviepy, by commas; ours always.")] = "",
    page: Annotated[str, typer.Option(help="Also put the tables there, between its marks.", metavar="FILE")] = "",
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """The renderer beside the bare encoder, the ffmpeg command line and MoviePy, on the same films."""
    options = Rendering(
        rounds=rounds,
        long=long,
        gpu=gpu,
        tiny=tiny,
        only=tuple(only.replace(",", " ").split()),
        contestants=tuple(contestants.replace(",", " ").split()),
        page=page,
    )
    options.check()
    from tests.bench.render import run as rendering  # noqa: PLC0415 - codecs load only where they are needed

    rows = rendering.run(options, typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


@app.command()
def recovery(
    *,
    victims: Annotated[str, typer.Option(help="Processes to kill, by commas; else every one, and the servers.")] = "",
    requests: Annotated[int, typer.Option(help="Requests before and after each backup.", min=1)] = 5,
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """How soon the factory works again after the runbook's four disasters, and what is lost."""
    from tests.bench import recovery as drills  # noqa: PLC0415 - likewise

    options = drills.Options(victims=tuple(victims.replace(",", " ").split()), requests=requests)
    rows = drills.run(options, typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


@app.command()
def gateway(
    *,
    rate: Annotated[int, typer.Option(help="Questions a second.", min=1)] = 200,
    duration_s: Annotated[float, typer.Option("--duration", help="Seconds.", min=1)] = 20.0,
    listeners: Annotated[int, typer.Option(help="Who listens to the feed meanwhile.", min=0)] = 10,
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """How soon the gateway answers, at a fixed rate, beside a factory that works."""
    rows = asking.measure(asking.Options(rate=rate, duration_s=duration_s, listeners=listeners), typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


@app.command()
def scale(
    *,
    waiting: Annotated[str, typer.Option(help="How many wait, by commas.")] = "1,10,100,1000,100000",
    processes: Annotated[str, typer.Option(help="How many work on one stage, by commas.")] = "1,2,4,8,16,32",
    videos: Annotated[int, typer.Option(help="Videos beside each that waits; 100000 takes hours.", min=10)] = 150,
    rounds: Annotated[int, typer.Option(help="Each is measured so often, in turn.", min=1)] = 1,
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write the rows there.")] = None,
) -> None:
    """What a video costs beside few and many that wait, and what more processes bring; stages are stubs."""
    options = scaling.Options(waiting=_numbers(waiting), processes=_numbers(processes), videos=videos, rounds=rounds)
    options.check()
    rows = scaling.run(options, typer.echo)
    if json_path is not None:
        table.write_json(rows, json_path)
    raise typer.Exit(table.exit_code(rows))


def _numbers(text: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    if wrong := [word for word in words if not word.isdecimal()]:
        raise typer.BadParameter(f"got {wrong[0]!r}; expected numbers by commas, as 1,8")
    return tuple(map(int, words))


def main() -> int:
    """Runs one bench; Ctrl-C and TERM end it, with all it started."""
    waiting.listen()
    return guarded(lambda: app(prog_name="ytempire bench"))


if __name__ == "__main__":
    sys.exit(main())
