"""One whole bench of the renderer: jobs in rounds, contestants side by side, what is tried once, and the tables.

Says what it does while it does it. A round of a job is begun only while there is time for it, and MoviePy's film only
where it can be expected to fit, so that without flags all ends within nine minutes on a quiet machine; making MoviePy's
environment, once, is not counted. What another module of this folder should bring and does not is a row without a
figure, which has missed its goal.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench.render import figures, memory, method, page
from tests.bench.render.asked import JOBS, Options
from tests.bench.render.figures import Measured
from tests.bench.render.gpu import on_the_card
from tests.bench.render.rounds import Films
from tests.bench.table import Goal, Row, lines, row

Say = Callable[[str], None]

#: When the last round must have ended, and by when MoviePy must be expected to: what comes between takes about two
#: minutes.
_ROUNDS_END_S: Final = 300.0
_ALL_END_S: Final = 530.0
#: Clean films and as many damaged ones.
_FAULTS, _FAULTS_LONG = 20, 200


def run(options: Options, say: Say) -> list[Row]:
    """Measures, says the tables, and returns their rows; raises ConfigurationError for what there is not."""
    options.check()
    began_s = time.monotonic()

    def say_when(line: str) -> None:
        say(f"{time.monotonic() - began_s:4.0f} s  {line}")

    found: list[Row] = []
    with TemporaryDirectory(prefix="ytempire-bench-") as folder:
        measured: Sequence[Measured] = ()
        films = None
        if options.gpu or any(options.has(part) for part in (*JOBS, "memory")):
            films = Films(options, Path(folder), say_when)
            measured = films.rounds([name for name in JOBS if options.has(name)], films.began_s + _ROUNDS_END_S)
            found += memory.rows(films, measured, say_when) if options.has("memory") else []
            found += on_the_card(films, measured, say_when) if options.gpu else []
        found += _brought(options, say_when)
        if films is not None:
            measured = films.slow(measured, films.began_s + _ALL_END_S)
    found = [*(line for one in measured for line in _judged(one, "720p" if options.tiny else "1080p")), *found]
    for line in ("", *figures.table(measured), "", *lines(found), "", *method.note(options)):
        say(line)
    if options.page:
        told = [
            *(f"- {line.strip()}" for line in figures.notes(measured)),
            *(f"- {line}" for line in method.note(options)),
        ]
        page.put(Path(options.page), found, figures.cells(measured), told)
    return [*found, *(line for one in measured for line in figures.unjudged(one))]


def _judged(one: Measured, size: str) -> list[Row]:
    name = f"{one.job}, {size}30"
    if one.job == "clips":
        return figures.efficiency(one, name, floor=0.75, goal=0.80)
    rows = figures.efficiency(one, name, floor=0.78, goal=0.85)
    return rows + (figures.wall(one, name, floor=0.6, goal=0.5) if one.job == "still" else [])


def _brought(options: Options, say: Say) -> list[Row]:
    """What the other modules of this folder measure, each in its own way."""
    faults = _FAULTS_LONG if options.long else _FAULTS
    parts: dict[str, tuple[str, str, tuple[int, ...]]] = {
        "jitter": ("jitter", "jitter", ()),
        "captions": ("captions", "captions", ()),
        "loudness": ("loudness", "loudness", ()),
        "faults": ("gate", "gate", (faults,)),
    }
    found: list[Row] = []
    for part, (module, function, arguments) in parts.items():
        if options.has(part):
            say(part)
            found += brought(part, module, function, arguments)
    return found


def brought(part: str, module: str, function: str, arguments: tuple[int, ...]) -> list[Row]:
    """The rows of `tests.bench.render.MODULE`, or one that says that there is no such thing."""
    name = f"tests.bench.render.{module}"
    try:
        measure = getattr(importlib.import_module(name), function)
    except ModuleNotFoundError as error:
        if error.name != name:
            return [row(part, None, "", Goal("=", 0), note=f"{error.name} is not installed")]
        return [row(part, None, "", Goal("=", 0), note=f"missing: there is no {name.replace('.', '/')}.py")]
    except AttributeError:
        return [row(part, None, "", Goal("=", 0), note=f"missing: {name} has no {function}()")]
    return list(measure(*arguments))
