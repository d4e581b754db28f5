"""The three things a provider can be: a writer, a finder, a speaker; and what finders and speakers leave on disk.

The free ones cost nothing, need no key and are plain functions. Each is called in a thread and calls
`checkpoint` between units of work; what `checkpoint` raises passes through, and half-written files may then remain in
the folder that was given, which the caller owns. A paid one is an `Adapter`: it cannot be called without a reservation.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from schema.documents import Brief, Script, SpokenScene, Word
from schema.money.reservation import Reservation

#: Raises whatever shall stop the work; returns nothing otherwise.
Checkpoint = Callable[[], None]


class Found(msgspec.Struct, frozen=True):
    """A picture file, still or clip, for the scene with index `scene`; width and height in pixels, as it is shown."""

    scene: int
    path: Path
    width: int
    height: int
    #: Attribution to show and licence; empty for what is the user's own or was made here.
    credit: str = ""
    licence: str = ""
    kind: Literal["still", "clip"] = "still"


class Clip(msgspec.Struct, frozen=True):
    """A plain copy of a clip: nothing in it but its moving picture; its size as it is shown."""

    path: Path
    width: int
    height: int
    length_s: float


#: Makes a plain copy of the clip at the first path under the second one, whose suffix it chooses.
#: Raises `PermanentError` when no film can show it.
Copy = Callable[[Path, Path], Coroutine[Any, Any, Clip]]


class Spoken(msgspec.Struct, frozen=True):
    """A narration on disk: how long it is, and when each word of each scene sounds."""

    sample_rate_hz: int
    duration_s: float
    scenes: tuple[SpokenScene, ...]


class Writer(Protocol):
    """Writes a script for a brief."""

    def __call__(self, brief: Brief) -> Script:
        """Write it; raises `PermanentError` when the brief does not hold enough to write from."""


class Finder(Protocol):
    """Leaves at least one picture for each scene in the folder `out`."""

    def __call__(
        self, script: Script, out: Path, *, width: int, height: int, seed: int, checkpoint: Checkpoint
    ) -> list[Found]:
        """Find or make them, in the order of their scenes; the same seed gives the same pictures."""


class Speaker(Protocol):
    """Reads a script aloud."""

    def speak(self, script: Script, out_wav: Path, *, checkpoint: Checkpoint) -> Spoken:
        """Write a mono WAV; raises `PermanentError` naming what cannot be said."""


Order_contra = TypeVar("Order_contra", bound=msgspec.Struct, contravariant=True)
Result = TypeVar("Result", bound=msgspec.Struct)

#: Whether a request of unknown outcome may be sent again. keyed: the provider knows it by our key and bills it once.
#: queryable: it can be asked for. free: it costs nothing. blind: only as a second purchase, which is shown as one.
Resend = Literal["keyed", "queryable", "free", "blind"]


class Answer(msgspec.Struct, Generic[Result], frozen=True):
    """What a paid call returned, and what it used by the provider's own account."""

    result: Result
    #: By unit, as in the price table: input_tokens, output_tokens, characters, requests.
    used: dict[str, int]
    #: The provider's own name for this request; empty when it has none.
    request_id: str = ""


class Adapter(Protocol[Order_contra, Result]):
    """A paid provider. One order is one request: retries, fallbacks and storage are the caller's business.

    `call` raises RateLimitedError, RetryableError or PermanentError where nothing was billed for certain, and
    UnknownOutcomeError where it may have been; it never sends twice.
    """

    #: As the price table, the costs and the ledger name it.
    service: str
    model: str
    resend: Resend

    def worst_case(self, order: Order_contra) -> dict[str, int]:
        """The most that this order can use, by unit: tight, and what the request itself is bounded by."""

    async def call(self, order: Order_contra, reservation: Reservation, out: Path) -> Answer[Result]:
        """Send it. Files that belong to the result are left in the folder `out` and named in it."""


class ScriptOrder(msgspec.Struct, frozen=True):
    """Write a script for this brief."""

    brief: Brief


class SearchOrder(msgspec.Struct, frozen=True):
    """Look for pictures or clips."""

    terms: str
    kind: Literal["photo", "video"]
    orientation: Literal["landscape", "portrait"]
    count: int
    #: The day of the search by UTC. What was found another day is searched for anew: addresses of files change, and
    #: Pexels asks that answers be kept for a day (help.pexels.com, "avoid hitting the rate limit").
    day: str = ""


class SpeechOrder(msgspec.Struct, frozen=True):
    """Speak the narration of one scene; its neighbours are there for the tone only, and are not spoken."""

    text: str
    voice: str
    language: str = "en"
    before: str = ""
    after: str = ""
    #: 1 is the voice's own pace.
    speed: float = 1.0


class Rendition(msgspec.Struct, frozen=True):
    """One file of a picture or clip; width and height in pixels."""

    url: str
    width: int
    height: int


class Hit(msgspec.Struct, frozen=True):
    """A picture or clip that was found; `renditions` has at least one, smallest first."""

    id: str
    kind: Literal["photo", "video"]
    #: The provider's page of it, which the credit names.
    page_url: str
    renditions: tuple[Rendition, ...]
    credit: str
    licence: str
    #: Of a clip; 0 for a photo.
    duration_s: float = 0.0

    def rendition_for(self, width: int, height: int) -> Rendition:
        """The smallest one that fills a frame of this size without enlargement, else the largest there is."""
        fits = [one for one in self.renditions if one.width >= width and one.height >= height]
        return (fits or self.renditions[-1:])[0]

    def clip_for(self, width: int, height: int) -> Rendition:
        """The one that is nearest to a frame of this size: better a little smaller than four times too large."""

        def unfit(one: Rendition) -> float:
            scale = min(one.width / width, one.height / height)
            return scale - 1 if scale >= 1 else 2 * (1 - scale)

        return min(self.renditions, key=unfit)


class Hits(msgspec.Struct, frozen=True):
    """What a search found, best first; at least one."""

    hits: tuple[Hit, ...]


class Utterance(msgspec.Struct, frozen=True):
    """The voice of one scene: a mono 16-bit WAV in the folder that was given, and when each word sounds.

    The words, joined by blanks, are the text that was ordered; their times count from the start of the file, and none
    overlaps the next.
    """

    wav: str
    sample_rate_hz: int
    duration_s: float
    words: tuple[Word, ...]
    #: Where the times come from: the provider, an aligner that listened, or the lengths of the words alone.
    timing: Literal["provider", "aligned", "estimated"]
