from __future__ import annotations

import errno
from pathlib import Path

import av
import av.error
import numpy as np
import pytest
from msgspec.structs import replace

from actors.rendering import backend
from actors.rendering.card_check import psnr_db
from actors.rendering.encoding import nvenc
from actors.rendering.encoding.encoder import Codec, add_pictures, libx264
from actors.rendering.film import render
from actors.rendering.order import FilmOrder
from schema.settings.video import Video
from tests.fakes.card import CUDARuntimeError, FakeCupy
from tests.integration.rendering.conftest import go_on, unheard
from tests.unit.rendering.orders import order

SHORT = (("", "Octopuses have hearts."),)


def short(folder: Path) -> FilmOrder:
    """A film of some two seconds."""
    folder.mkdir(exist_ok=True)
    return order(folder, scenes=SHORT, video=Video(video_quality="720p", preset="ultrafast", fps=10))


def lumas(path: str) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray()[: frame.height].copy() for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_film_made_on_the_card_looks_as_one_made_on_the_cpu(cupy: FakeCupy, tmp_path: Path) -> None:
    on_card, on_cpu = short(tmp_path / "card"), short(tmp_path / "cpu")
    made = render(on_card, checkpoint=go_on, progress=unheard)
    assert (made.backend, made.fallback, made.fallback_cause) == ("gpu", "", "")
    assert cupy.counts["down"] == 0, "a frame was copied"
    assert cupy.counts["launched"] == made.frames + 1
    other = render(replace(on_cpu, video=replace(on_cpu.video, gpu="cpu")), checkpoint=go_on, progress=unheard)
    assert (other.backend, other.fallback, other.frames) == ("cpu", "", made.frames)
    alike = [psnr_db(one, two) for one, two in zip(lumas(on_card.out), lumas(on_cpu.out), strict=True)]
    assert len(alike) == made.frames
    assert min(alike) > 33


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_that_fails_in_mid_film_costs_its_frames_and_the_film_is_made(cupy: FakeCupy, tmp_path: Path) -> None:
    asked, shown = short(tmp_path), list[int]()
    cupy.breaks_after, cupy.breaks_with = 8, CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")
    told: list[str] = []
    made = render(asked, checkpoint=go_on, progress=lambda frame, _of: shown.append(frame), out_of_memory=told.append)
    assert (made.backend, made.encoder, made.fallback_cause) == ("cpu", "libx264", "out_of_memory")
    assert "cudaErrorMemoryAllocation" in made.fallback
    assert told == [made.fallback]
    assert shown == [*range(1, 8), *range(1, made.frames + 1)]
    assert len(lumas(asked.out)) == made.frames
    assert not Path(f"{asked.out}.part").exists()


@pytest.mark.slow
def test_an_encoder_that_fails_in_mid_film_leaves_the_card_composing(
    cupy: FakeCupy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session goes to somebody else after the trial: NVENC's own open fails, of frames of ordinary memory."""
    asked = short(tmp_path)

    def codec(video: Video, *, plain: bool = False) -> Codec:
        del plain
        return libx264(video)._replace(name=nvenc.NAME, options={})

    def tried(way: backend.Way, size: tuple[int, int], fps: int) -> int:
        return 1 if way.codec.name == nvenc.NAME else real(way, size, fps)

    real = backend.try_out
    monkeypatch.setattr(nvenc, "codec", codec)
    monkeypatch.setattr(backend, "try_out", tried)
    monkeypatch.setattr("actors.rendering.encoding.encoder.add_pictures", _refusing)
    made = render(asked, checkpoint=go_on, progress=unheard)
    assert (made.backend, made.encoder, made.fallback_cause) == ("gpu_libx264", "libx264", "failed")
    assert "session taken" in made.fallback
    assert cupy.counts["down"] == made.frames + 1


def _refusing(container: av.container.OutputContainer, size: tuple[int, int], fps: int, codec: Codec) -> object:
    if codec.name == nvenc.NAME:
        raise av.error.ExternalError(errno.EPERM, "session taken")
    return add_pictures(container, size, fps, codec)
