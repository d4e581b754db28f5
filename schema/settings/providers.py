"""Which providers a stage tries, in order, and what they need."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """Local providers need no key and are the default."""

    picture_dir: Annotated[str, Meta(description="your own pictures, used before generated ones; empty: none")] = ""
    voice_lexicon: Annotated[
        str, Meta(description="file of lines 'word /phonemes/' for the local voice; empty: none")
    ] = ""
