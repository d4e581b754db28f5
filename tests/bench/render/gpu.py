"""The films on a graphics card, where there is one: how long they take beside the CPU's, and which way they were made.

No goal of the table stands here: what is asked of the card's half without a card, tests hold it to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.bench.render import contestants
from tests.bench.render.figures import Measured
from tests.bench.render.rounds import Films
from tests.bench.render.running import ContestantError
from tests.bench.table import Row, number, row


def on_the_card(films: Films, measured: Sequence[Measured], say: Callable[[str], None]) -> list[Row]:
    """The job of stills by the best way that there is; a line that says why not where that is the CPU."""
    name = "still on the card: wall / the CPU's"
    try:
        used, made = contestants.ours(films.job("still", folder="card", gpu="auto"))
    except ContestantError as error:
        say(f"no figure of a card: {error}")
        return [row(name, None, "", note=str(error))]
    if made.backend == "cpu":
        say(f"no figure of a card: {made.fallback}")
        return [row(name, None, "", note=made.fallback)]
    cpu = next((one for one in measured if one.job == "still"), None)
    by_cpu = cpu.wall_s("ours") if cpu else None
    note = (
        f"way {made.backend}, encoder {made.encoder}, {number(made.frames / used.wall_s)} frames/s, "
        f"{number(used.cpu_s)} CPU s, peak {number(used.peak_mb)} MB of memory"
        + (f"; fallback: {made.fallback}" if made.fallback else "")
    )
    say(note)
    return [row(name, used.wall_s / by_cpu if by_cpu else None, "", note=note)]
