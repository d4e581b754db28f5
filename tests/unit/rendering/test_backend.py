from __future__ import annotations

import errno
import sys
from ctypes.util import find_library

import av
import av.error
import pytest

from actors.rendering import backend
from actors.rendering.backend import Name, Ways, explained, try_out
from actors.rendering.composing import card as cards
from actors.rendering.composing.card import CardError, Cause
from actors.rendering.encoding import nvenc
from schema.settings.video import Video
from tests.fakes.card import CUDARuntimeError, FakeCupy, OutOfMemoryError

SIZE = (320, 180)
QUICK = Video(preset="ultrafast")
#: What the wheel's NVENC says depends on the machine here.
no_driver_here = pytest.mark.skipif(find_library("cuda") is not None, reason="there is an NVIDIA driver")


def best(video: Video = QUICK) -> tuple[Name, str, str]:
    """What is chosen, why, and the word for it."""
    with Ways(video, SIZE) as ways:
        return ways.best().name, ways.fallback, ways.cause


def test_a_driver_without_cupy_renders_on_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(cards, "_has_driver", lambda: True)
    name, why, cause = best()
    assert (name, cause) == ("cpu", "no_package")
    assert why.startswith("the packages for a card (the extra `gpu`) are not there: ")


@no_driver_here
def test_a_machine_without_cupy_and_driver_renders_on_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert best() == ("cpu", "no NVIDIA driver answers", "no_driver")


def test_the_cpu_that_was_asked_for_is_no_fallback(cupy: FakeCupy) -> None:
    assert best(Video(gpu="cpu")) == ("cpu", "", "")
    assert not cupy.counts


@pytest.mark.parametrize(
    ("driver", "cards", "why", "cause"),
    [
        (0, 1, "no NVIDIA driver answers", "no_driver"),
        (12_080, 0, "the driver shows no card (asked for: auto)", "no_card"),
    ],
)
def test_no_driver_and_no_card_are_told_apart(cupy: FakeCupy, driver: int, cards: int, why: str, cause: str) -> None:
    cupy.driver, cupy.cards = driver, cards
    assert best() == ("cpu", why, cause)


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_with_an_encoder_does_it_all(cupy: FakeCupy) -> None:
    assert best() == ("gpu", "", "")
    assert cupy.counts["down"] == 0


@no_driver_here
def test_a_card_without_an_encoder_composes_and_the_cpu_encodes(cupy: FakeCupy) -> None:
    """NVENC is the wheel's own here: what it says without a driver is what it really says."""
    name, why, cause = best()
    assert name == "gpu_libx264"
    assert cause in ("no_driver", "failed")
    assert why
    assert cupy.counts["down"] == 1


@no_driver_here
def test_the_wheels_own_words_are_in_the_reason(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of ordinary memory let NVENC come as far as looking for its driver."""
    assert cupy.cards
    monkeypatch.setattr(nvenc, "PIX_FMT", "nv12")
    name, why, cause = best()
    assert (name, cause) == ("gpu_libx264", "no_driver"), why
    assert why.startswith("the driver has no encoder library: ")
    assert "Cannot load libcuda.so.1" in why


@pytest.mark.usefixtures("encoder_of_the_card")
def test_an_encoder_that_refuses_what_it_is_told_is_told_less(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cupy.cards
    real, tried = backend.try_out, []

    def refusing(way: backend.Way, size: tuple[int, int], fps: int) -> int:
        tried.append((way.name, way.is_plain))
        if len(tried) == 1:
            raise av.error.ExternalError(errno.EINVAL, "Temporal AQ not supported")
        return real(way._replace(codec=way.codec._replace(name="libx264")), size, fps)

    monkeypatch.setattr(backend, "try_out", refusing)
    name, why, _ = best()
    assert name == "gpu"
    assert "Temporal AQ not supported" in why
    assert tried == [("gpu", False), ("gpu", True)]


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_whose_kernel_fails_leaves_the_cpu(cupy: FakeCupy) -> None:
    cupy.breaks_after = 0
    name, why, cause = best()
    assert (name, cause) == ("cpu", "failed")
    assert why == "the card failed: CUDARuntimeError: cudaErrorLaunchFailure: unspecified launch failure"


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_without_memory_leaves_the_cpu_and_is_told_of_at_once(cupy: FakeCupy) -> None:
    cupy.left_bytes, told = 1000, list[str]()
    with Ways(QUICK, SIZE, out_of_memory=told.append) as ways:
        assert ways.best().name == "cpu"
        assert ways.cause == "out_of_memory"
        assert told == [ways.fallback]
    assert "the card has no memory left" in told[0]


@pytest.mark.usefixtures("encoder_of_the_card")
@pytest.mark.parametrize(
    ("error", "after"),
    [
        (CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access"), "gpu_libx264"),
        (OutOfMemoryError("Out of memory allocating 8 bytes"), "cpu"),
        (CardError("the encoder holds 64 frames and gives none back", "failed"), "gpu_libx264"),
    ],
)
def test_a_card_that_fails_in_mid_film_is_left(cupy: FakeCupy, error: Exception, after: str) -> None:
    assert cupy.cards
    with Ways(QUICK, SIZE) as ways:
        way = ways.best()._replace(is_plain=True)
        ways.lost(way, error)
        ways.lost(way, error)
        assert ways.best().name == after
        assert str(error) in ways.fallback


@pytest.mark.usefixtures("encoder_of_the_card")
@pytest.mark.parametrize("error", [ValueError("a mistake of ours"), OSError(errno.ENOSPC, "No space left")])
def test_what_is_not_the_cards_fault_is_raised(cupy: FakeCupy, error: Exception) -> None:
    assert cupy.cards
    with Ways(QUICK, SIZE) as ways, pytest.raises(type(error)) as raised:
        ways.lost(ways.best(), error)
    assert raised.value is error


@pytest.mark.usefixtures("encoder_of_the_card")
def test_nvencs_errors_are_told_from_the_disks(cupy: FakeCupy) -> None:
    assert cupy.cards
    with Ways(QUICK, SIZE) as ways:
        best = ways.best()
        way = best._replace(codec=best.codec._replace(name=nvenc.NAME))
        with pytest.raises(av.FFmpegError, match="No space left"):
            ways.lost(way, av.FFmpegError(errno.ENOSPC, "No space left on device"))
        ways.lost(way, av.FFmpegError(errno.EIO + 1000, "Generic error in an external library"))
        assert ways.fallback == "the card's encoder failed: FFmpegError: Generic error in an external library"


def test_the_cpu_is_never_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with Ways(QUICK, SIZE) as ways, pytest.raises(CUDARuntimeError):
        ways.lost(ways.best(), CUDARuntimeError("whatever"))


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("OpenEncodeSessionEx failed: unsupported device (2): (no details)", "no_encoder"),
        ("No capable devices found", "no_encoder"),
        ("OpenEncodeSessionEx failed: out of memory (10): (no details)", "no_session"),
        ("OpenEncodeSessionEx failed: incompatible client key (21): (no details)", "no_session"),
        ("Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1", "old_driver"),
        ("The minimum required Nvidia driver for nvenc is 570.0 or newer", "old_driver"),
        ("Cannot load libnvidia-encode.so.1", "no_driver"),
        ("InitializeEncoder failed: invalid param (8)", "failed"),
    ],
)
def test_what_nvenc_says_has_a_meaning(said: str, cause: Cause) -> None:
    found = explained(av.error.ExternalError(errno.EPERM, "Generic error in an external library"), said)
    assert found.cause == cause
    assert said in found.reason


def test_no_session_is_not_taken_for_a_full_card() -> None:
    said = "OpenEncodeSessionEx failed: out of memory (10): (no details)"
    assert explained(av.error.ExternalError(errno.EPERM, "avcodec_open2"), said).cause == "no_session"


def test_trying_out_really_encodes_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with Ways(QUICK, SIZE) as ways:
        assert try_out(ways.best(), SIZE, 30) > 100
        broken = ways.best()._replace(codec=ways.best().codec._replace(options={"preset": "none such"}))
        with pytest.raises(av.FFmpegError):
            try_out(broken, SIZE, 30)
