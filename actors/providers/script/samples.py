"""The articles that ship with the factory, so that a first film needs neither notes nor a key.

Each is a Markdown file in `samples/`: the topic as its heading, then the notes. Written for this project.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from schema.errors import ConfigurationError


class Sample(msgspec.Struct, frozen=True):
    """A topic with notes to write its script from."""

    topic: str
    notes: str


@cache
def samples() -> tuple[Sample, ...]:
    """Return all samples, in the order of their file names."""
    folder = files(__package__) / "samples"
    texts = sorted(
        (file.name, file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name.endswith(".md")
    )
    if not texts:
        raise ConfigurationError(
            f"no sample articles in {folder}", hint="the installation is incomplete: clone it again"
        )
    return tuple(_parsed(text) for _, text in texts)


def sample_for(topic: str) -> Sample | None:
    """Return the sample with this topic; case, blanks and a closing sign do not matter."""
    return next((sample for sample in samples() if _key(sample.topic) == _key(topic)), None)


def _parsed(text: str) -> Sample:
    topic, _, notes = text.partition("\n")
    return Sample(topic=topic.removeprefix("# ").strip(), notes=notes.strip())


def _key(topic: str) -> str:
    return " ".join(topic.casefold().split()).rstrip(".?! ")
