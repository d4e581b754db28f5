"""Where the CPU goes that is not the encoder's: `python -m tests.bench.render.parts ORDER.json` makes the film once.

Python's part is counted by the clock of the thread that does it, inside the functions named here. What is native and
takes no Python call of its own, the sound's encoder and the muxer, is done again apart, on the finished film, and so is
mastering, whose filters may use threads. What is left over is the hand-over: queues, waiting for the interpreter,
wrapping frames, and whatever nobody named.

Speaks one line of JSON, seconds of CPU by part; a function that is no longer where it was is named in `missing`.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

#: Parts, and the functions whose time they are; an inner one's time is not counted again.
_FUNCTIONS: Final[dict[str, tuple[str, ...]]] = {
    "reading the voice": ("actors.rendering.sound.voice:listen",),
    "pictures": (
        "actors.rendering.drawing.interest:find",
        "actors.rendering.drawing.stills:load",
        "actors.rendering.composing.cpu:CpuCompositor.prepare",
    ),
    "compositor": ("actors.rendering.composing.cpu:CpuCompositor.compose",),
    "captions and cards": (
        "actors.rendering.drawing.captions:Captions.at",
        "actors.rendering.drawing.cards:Cards.at",
    ),
}


class Parts(msgspec.Struct, frozen=True):
    """Seconds of CPU of one film, by part."""

    of: dict[str, float]
    mastering_s: float
    missing: tuple[str, ...] = ()


class Clocks:
    """Adds up what named functions take on their threads."""

    def __init__(self) -> None:
        self.of: dict[str, float] = {}
        self.missing: list[str] = []
        self._lock, self._inside = threading.Lock(), threading.local()

    def watch(self, part: str, place: str) -> None:
        """Count this function, `module:name` or `module:Class.name`, wherever it is known by now."""
        module_name, _, path = place.partition(":")
        try:
            owner: Any = importlib.import_module(module_name)
            *way, name = path.split(".")
            for step in way:
                owner = getattr(owner, step)
            function = getattr(owner, name)
        except (ImportError, AttributeError):
            self.missing.append(place)
            return
        timed = self._timed(part, function)
        setattr(owner, name, timed)
        if not way:
            for module in [module for key, module in sys.modules.items() if key.startswith("actors.rendering")]:
                if getattr(module, name, None) is function:
                    setattr(module, name, timed)

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands for any function
            if getattr(self._inside, "depth", 0):
                return function(*args, **kwargs)
            self._inside.depth = 1
            began_s = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took_s = time.thread_time() - began_s
                self._inside.depth = 0
                with self._lock:
                    self.of[part] = self.of.get(part, 0.0) + took_s

        return timed


def _cpu_s(work: Callable[[], object]) -> float:
    """What a piece of work takes this process, threads included."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def main(order_path: Path) -> Parts:
    """Make the film, and take it apart."""
    from actors.rendering.film import render  # noqa: PLC0415 - loading it is the first part
    from actors.rendering.order import FilmOrder  # noqa: PLC0415 - likewise

    import_s = time.process_time()  # all so far: the interpreter's start, too
    from tests.bench.render import apart  # noqa: PLC0415 - not the film's

    order = msgspec.json.decode(order_path.read_bytes(), type=FilmOrder)
    clocks = Clocks()
    for part, places in _FUNCTIONS.items():
        for place in places:
            clocks.watch(part, place)
    render(order, checkpoint=lambda: None, progress=lambda _frame, _of: None)
    film, mix = Path(order.out), apart.mix_of(order)
    mixing_s, aac_s = _cpu_s(apart.mixing(mix)), _cpu_s(apart.aac(film, order.video))
    return Parts(
        {
            "start and imports": import_s,
            **clocks.of,
            "mixing": mixing_s,
            "AAC": aac_s,
            "mux": _cpu_s(lambda: apart.remux(film)) - _cpu_s(lambda: apart.demux(film)),
        },
        max(0.0, _cpu_s(apart.mastering(mix, order.video)) - mixing_s - aac_s),
        tuple(clocks.missing),
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]))) + b"\n")
