"""What is asked of the renderer and what it answers; the border between the stages and this folder.

Plain data, so that a stage can build an order without loading a codec.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from schema.documents import Aspect, Finding, Footage, Script, Speech
from schema.settings.video import Video

#: What goes with a film, under the same name with these endings: subtitles, thumbnail; and what the inspection draws.
SRT, VTT, THUMBNAIL, SHEET = ".srt", ".vtt", ".jpg", ".png"
#: The line that asks a child at work to free what its card keeps and does not use.
RELEASE_GPU = b'{"release_gpu":true}'


class FilmOrder(msgspec.Struct, frozen=True):
    """A film to make. All paths are local; `pictures` runs parallel to `footage.pictures`."""

    script: Script
    footage: Footage
    speech: Speech
    pictures: tuple[str, ...]
    voice: str
    aspect: Aspect
    video: Video
    #: The final path of the MP4; it appears there whole or not at all. What goes with it lies beside it.
    out: str
    #: Where the plan goes, as JSON: what the inspection compares the film with.
    plan_out: str
    #: The same order with the same seed gives the same film.
    seed: int
    #: By name; see styles.py.
    style: str = "default"
    #: A folder of this video's own for what is encoded, so that another attempt can go on with it; whoever names it
    #: removes it with the film. Empty: what is encoded goes when rendering ends, however it ends.
    parts: str = ""
    #: The day of the film, as YYYY-MM-DD.
    date: str = ""


class Rendered(msgspec.Struct, frozen=True):
    """A film that was made, and by what; `fallback` says why it was not the first choice."""

    width: int
    height: int
    fps: int
    frames: int
    duration_s: float
    encoder: str
    fallback: str
    #: What composed and encoded it (`gpu`, `gpu_libx264`, `cpu`), and one word for the fallback.
    backend: str = "cpu"
    fallback_cause: str = ""
    #: What is to be said of its pictures, such as a clip that broke off, or why a card did not decode one.
    notes: tuple[str, ...] = ()
    #: Frames that an earlier attempt had encoded.
    frames_found: int = 0


class InspectionOrder(msgspec.Struct, frozen=True):
    """A finished film to judge against its plan. All paths are local."""

    film: str
    plan: str
    voice: str
    video: Video
    #: Whether to look and listen, too: black, frozen, silence, loudness. Decoding, duration and sync always count.
    perceptual: bool = True
    #: Where the contact sheet goes; empty: none is drawn. It names the film and what it cost.
    sheet_out: str = ""
    title: str = ""
    cost: str = ""


class ClipOrder(msgspec.Struct, frozen=True):
    """A clip of unknown origin to copy plainly. All paths are local; `out` gets the suffix of its container."""

    source: str
    out: str
    #: Its shorter side has at least so many pixels.
    least_side: int = 2


class Copied(msgspec.Struct, frozen=True):
    """A plain copy of a clip: its size as it is shown, and how long it can be."""

    path: str
    width: int
    height: int
    length_s: float


class Inspection(msgspec.Struct, frozen=True):
    """The judgement: every check that was made, and whether all passed."""

    passed: bool
    findings: tuple[Finding, ...]


class Problem(msgspec.Struct, frozen=True):
    """Why there is no result, and whether trying again can help."""

    kind: Literal["permanent", "retryable"]
    message: str
    hint: str = ""
