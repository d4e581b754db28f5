"""A bought narration: each scene is one order, so that a crash or a fallback loses no more than one of them.

The scenes become one sound with the pauses of the local voice. A voice that is named belongs to the provider whose turn
is first; who comes after it speaks with its own.
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from actors.providers.audio.pacing import Piece, narrated
from actors.providers.chain import Buy
from actors.providers.ports import Adapter, Checkpoint, SpeechOrder, Spoken, Utterance
from schema.documents import Script
from schema.errors import PermanentError


async def spoken(
    script: Script,
    adapter: Callable[[], Adapter[SpeechOrder, Utterance]],
    buy: Buy,
    folder: Path,
    *,
    voice: str,
    checkpoint: Checkpoint,
) -> Spoken:
    """Buy the voice of every scene; the narration is left as `voice.wav` in `folder`.

    `adapter` is asked before each call, so that a change of mode is heeded from the next one on.
    """
    texts = ["", *(scene.narration for scene in script.scenes), ""]
    if not script.scenes:
        raise PermanentError("got a script without scenes", hint="give the script at least one scene with words")
    pieces, rates = [], set()
    for number, (before, text, after) in enumerate(zip(texts, texts[1:], texts[2:], strict=False)):
        checkpoint()
        out = folder / f"scene-{number:03d}"
        out.mkdir(parents=True)
        order = SpeechOrder(text, voice=voice, language=script.language, before=before, after=after)
        said = (await buy(adapter(), order, out)).result
        rates.add(said.sample_rate_hz)
        pieces.append([Piece(_samples(out / said.wav), said.words)])
    if len(rates) > 1:
        raise PermanentError(f"got scenes spoken at {sorted(rates)} Hz, expected one rate for all")
    return narrated(pieces, rates.pop(), folder / "voice.wav")


def _samples(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768.0
