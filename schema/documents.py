"""What a stage leaves for the next: script, footage, speech, film, verdict.

Frozen structs, kept as JSON in the record; big things (pictures, sound, films) are artifacts and travel by reference.
Times are seconds from the start of the voice, sizes bytes or pixels.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Aspect = Literal["16:9", "9:16"]


class ArtifactRef(msgspec.Struct, frozen=True):
    """A stored file: `path` is relative to the artifact root, `sha256` in hex."""

    path: str
    size_bytes: int
    sha256: str


class Step(msgspec.Struct, frozen=True):
    """What became of one provider: used; passed over, so that nothing was sent; or failed."""

    provider: str
    outcome: Literal["used", "passed_over", "failed"]
    reason: str = ""


class Brief(msgspec.Struct, frozen=True):
    """What was asked for: a request of stream:intake after its defaults were filled in."""

    topic: str
    notes: str = ""
    style: str = "default"
    voice: str = "default"
    aspect: Aspect = "16:9"
    length_s: float = 60.0
    #: Fields that intake does not know: kept and passed on.
    extra: dict[str, str] = {}


class Scene(msgspec.Struct, frozen=True):
    """One scene: the words that are spoken and what to show while they are."""

    narration: str
    heading: str = ""
    search_terms: tuple[str, ...] = ()
    #: Where the words come from, such as "notes, paragraph 2"; empty when written by a model.
    source: str = ""


class Script(msgspec.Struct, frozen=True):
    """The words of a film; `language` is a BCP 47 tag."""

    title: str
    scenes: tuple[Scene, ...]
    description: str = ""
    tags: tuple[str, ...] = ()
    language: str = "en"
    #: Who was asked for it, in order; who used it is last.
    made_by: tuple[Step, ...] = ()


class Picture(msgspec.Struct, frozen=True):
    """A still or a clip for the scene with index `scene`."""

    scene: int
    kind: Literal["still", "clip"]
    artifact: ArtifactRef
    width: int
    height: int
    #: Attribution to show, and the licence it came under; empty for what we made ourselves.
    credit: str = ""
    licence: str = ""


class Footage(msgspec.Struct, frozen=True):
    """All pictures of a film, in the order of their scenes; each scene has at least one."""

    pictures: tuple[Picture, ...]
    #: As in Script, over all scenes, each said once.
    made_by: tuple[Step, ...] = ()


class Word(msgspec.Struct, frozen=True):
    """A spoken word as the caption shows it, with the time at which it sounds."""

    text: str
    start_s: float
    end_s: float


class SpokenScene(msgspec.Struct, frozen=True):
    """Where a scene lies in the voice; `words` in order, none overlapping the next."""

    start_s: float
    end_s: float
    words: tuple[Word, ...]


class Speech(msgspec.Struct, frozen=True):
    """The narration: a mono WAV, and when each word of each scene is spoken."""

    audio: ArtifactRef
    sample_rate_hz: int
    duration_s: float
    scenes: tuple[SpokenScene, ...]
    #: As in Script.
    made_by: tuple[Step, ...] = ()


class Film(msgspec.Struct, frozen=True):
    """What render leaves: the MP4 under its working name, its plan, and how it was made."""

    video: ArtifactRef
    plan: ArtifactRef
    width: int
    height: int
    fps: int
    frames: int
    duration_s: float
    #: The encoder that really ran, and why it was not the first choice (empty when it was).
    encoder: str
    fallback: str = ""
    #: What composed and encoded it: `gpu`, `gpu_libx264` (a card without an encoder) or `cpu`.
    backend: str = "cpu"
    #: What goes with it: subtitles (.srt, .vtt) and a thumbnail (.jpg).
    beside: tuple[ArtifactRef, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """One check of the finished file: what was measured and what was allowed, in words."""

    check: str
    passed: bool
    measured: str
    allowed: str


class Verdict(msgspec.Struct, frozen=True):
    """What quality leaves: every finding, and the film under its final name (None when it failed)."""

    passed: bool
    findings: tuple[Finding, ...]
    video: ArtifactRef | None = None
    #: What goes with it, under the same name: subtitles, a thumbnail, a contact sheet (.png).
    beside: tuple[ArtifactRef, ...] = ()
