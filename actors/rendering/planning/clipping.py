"""Which part of a clip each shot shows, and how fast: too short a clip is slowed a little, then others take over.

A clip is slowed to four fifths at most, which nobody takes for slow motion. Where that does not do, the scene's other
pictures get the rest of its time, and the clip comes again after them, further on if there is more of it. Two shots of
one clip in a row go on where the first was, so their crossfade is not seen. One of less than two seconds goes round,
as an animated picture does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

#: Shorter clips are refused, seconds.
SHORTEST_S: Final = 0.5
#: Shorter ones than this go round.
ROUND_S: Final = 2.0
SLOWEST: Final = 0.8
#: A clip may stay this much longer than a still: something happens in it.
_LONGER: Final = 1.5
#: A long clip does not begin at its very first pictures, where cameras settle: this far in, or a tenth of it.
_IN_S, _IN_SHARE = 1.0, 0.1


class Usable(msgspec.Struct, frozen=True):
    """The part of a clip that can be shown, in its own seconds, and where in it decoding may begin at no cost."""

    start_s: float
    end_s: float
    keys_s: tuple[float, ...] = ()

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


class Part(msgspec.Struct, frozen=True):
    """What a shot shows of its clip: from there on, at this pace; beginning anew every `loop_s` unless that is 0."""

    source_s: float
    speed: float = 1.0
    loop_s: float = 0.0


def longest_s(usable: Usable | None, shot_max_s: float, overlap_s: float) -> float:
    """How long a shot of it may be; of a still where there is no clip."""
    if usable is None or usable.length_s < ROUND_S:
        return shot_max_s
    return min(usable.length_s / SLOWEST - overlap_s, shot_max_s * _LONGER)


def lengths_s(most_s: Sequence[float], seconds: float, count: int) -> list[float]:
    """The lengths of shots that fill a scene: the scene's pictures in turn, alike, and none longer than it may be.

    More than `count` where they do not last; `most_s` runs parallel to the pictures.
    """
    while sum(most_s[place % len(most_s)] for place in range(count)) < seconds:
        count += 1
    most = [most_s[place % len(most_s)] for place in range(count)]
    lengths, left_s, left = [0.0] * count, seconds, count
    for place in sorted(range(count), key=most.__getitem__):  # the short ones first: the others take what they leave
        lengths[place] = min(most[place], left_s / left)
        left_s, left = left_s - lengths[place], left - 1
    return lengths


class Clippings:
    """The parts of a film's clips, asked for in the order of its shots."""

    def __init__(self) -> None:
        #: For each picture: where its last shot began in the film and in the clip, its pace and its end in the film.
        self._last: dict[int, tuple[float, Part, float]] = {}

    def part(self, picture: int, usable: Usable, first_s: float, end_s: float) -> Part:
        """What the shot from `first_s` to `end_s` of the film shows."""
        part = self._chosen(picture, usable, first_s, end_s - first_s)
        self._last[picture] = (first_s, part, end_s)
        return part

    def _chosen(self, picture: int, usable: Usable, first_s: float, length_s: float) -> Part:
        if usable.length_s < min(ROUND_S, length_s):
            return Part(usable.start_s, loop_s=round(usable.length_s, 4))
        if picture in self._last:
            began_s, before, until_s = self._last[picture]
            reached_s = before.source_s + (min(first_s, until_s) - began_s) * before.speed
            if usable.end_s - reached_s >= length_s * SLOWEST:
                speed = before.speed if first_s < until_s else 1.0
                return Part(round(reached_s, 4), min(speed, (usable.end_s - reached_s) / length_s))
        if usable.length_s <= length_s:
            return Part(usable.start_s, usable.length_s / length_s)
        spare_s = usable.length_s - length_s
        wanted_s = usable.start_s + min(_IN_S, _IN_SHARE * usable.length_s, spare_s)
        return Part(max((key for key in usable.keys_s if key <= wanted_s), default=usable.start_s))
