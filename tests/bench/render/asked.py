"""What may be asked of the bench of rendering; plain data, so that asking loads no codec."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from schema.errors import ConfigurationError
from tests.bench import page
from tests.bench.render.page import BEGIN

JOBS: Final = ("still", "upright", "clips")
PARTS: Final = (*JOBS, "memory", "jitter", "captions", "loudness", "faults")
#: Ours makes every film first: the others follow its plan.
CONTESTANTS: Final = ("ours", "bare", "ffmpeg", "moviepy")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    #: None: as many as fit, three at most.
    rounds: int | None = None
    long: bool = False
    gpu: bool = False
    #: Films of two seconds at 720p: whether all works; their figures mean nothing.
    tiny: bool = False
    #: Parts; empty: all.
    only: tuple[str, ...] = ()
    #: Contestants; empty: all.
    contestants: tuple[str, ...] = ()
    #: Where the tables go, too; empty: nowhere.
    page: str = ""

    def has(self, part: str) -> bool:
        """Whether a part is wanted."""
        return not self.only or part in self.only

    def check(self) -> None:
        """Raises ConfigurationError for what there is not."""
        if self.page:
            page.check(Path(self.page), BEGIN)
        for kind, asked, there_are in (("part", self.only, PARTS), ("contestant", self.contestants, CONTESTANTS)):
            if unknown := [name for name in asked if name not in there_are]:
                raise ConfigurationError(
                    f"there is no {kind} {', '.join(unknown)}", hint=f"choose of {', '.join(there_are)}"
                )
