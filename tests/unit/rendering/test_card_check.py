from __future__ import annotations

import sys

import av.error
import numpy as np
import pytest

from actors.rendering import card_check
from actors.rendering.card_check import psnr_db, ssim
from actors.rendering.composing.card import CardError
from schema.settings.video import Video
from tests.fakes.card import FakeCupy

SMALL, QUICK = (320, 180), Video(preset="ultrafast", fps=10)


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_that_does_what_the_cpu_does_passes(cupy: FakeCupy) -> None:
    report = card_check.check(QUICK, SMALL)
    assert report.card == "A card that is played, compute capability 9.0"
    assert [finding.check for finding in report.findings] == ["ways", "kernel", "frames", "film", "picture", "clips"]
    assert [finding for finding in report.findings if not finding.passed] == []
    assert cupy.counts["launched"] > 40


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_that_shows_another_picture_is_found(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    right = cupy._launch

    def shifted(grid: tuple[int, int], block: tuple[int, int], arguments: tuple[np.ndarray, ...]) -> None:
        arguments[0]["layers"]["left"] += 2
        right(grid, block, arguments)

    monkeypatch.setattr(cupy, "_launch", shifted)
    wrong = {finding.check for finding in card_check.check(QUICK, SMALL).findings if not finding.passed}
    assert {"kernel", "frames"} <= wrong


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_that_decodes_another_picture_or_none_is_found(cupy: FakeCupy) -> None:
    cupy.decoder.brightens = 2
    clips = card_check.check(QUICK, SMALL, seconds=0.6).findings[-1]
    assert (clips.check, clips.passed) == ("clips", False)
    assert clips.measured.startswith("at most 2 levels off what the CPU decodes")
    cupy.decoder.refuses = av.error.PermissionError(1, "Operation not permitted")
    clips = card_check.check(QUICK, SMALL, seconds=0.6).findings[-1]
    assert not clips.passed
    assert clips.measured.endswith("the card's decoder cannot be opened: PermissionError: Operation not permitted")


def test_no_card_is_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(CardError, match=r"no NVIDIA driver answers|the packages for a card"):
        card_check.check(QUICK, SMALL)
    with pytest.raises(CardError, match="the settings say cpu"):
        card_check.check(Video(gpu="cpu"), SMALL)


@pytest.mark.usefixtures("encoder_of_the_card")
def test_a_card_that_composes_nothing_fails_with_its_reason(cupy: FakeCupy) -> None:
    cupy.breaks_after = 0
    [found] = card_check.check(QUICK, SMALL).findings
    assert not found.passed
    assert "cudaErrorLaunchFailure" in found.measured


def test_likeness_is_measured_as_it_is_defined() -> None:
    dice = np.random.default_rng(1)
    plane = dice.integers(0, 256, (64, 64), np.uint8)
    off = np.clip(plane.astype(int) + 5, 0, 255).astype(np.uint8)
    assert (psnr_db(plane, plane), round(ssim(plane, plane), 6)) == (99.0, 1.0)
    assert psnr_db(np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)) == 0
    assert 30 < psnr_db(plane, off) < 40
    assert ssim(plane, dice.integers(0, 256, (64, 64), np.uint8)) < 0.1
