from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from actors.rendering.film import render
from actors.rendering.inspecting.verdict import inspect
from actors.rendering.order import FilmOrder, Inspection, InspectionOrder, Rendered
from actors.rendering.sound.samples import RATE_HZ, Samples
from schema.errors import PermanentError
from tests.integration.rendering.conftest import go_on, unheard
from tests.integration.rendering.damage import Pictures, with_packets, with_pictures, with_sound
from tests.unit.rendering.orders import order

pytestmark = pytest.mark.slow


def inspected(order: InspectionOrder, film: str | None = None) -> Inspection:
    return inspect(replace(order, film=film or order.film), checkpoint=go_on, progress=unheard)


def failed(verdict: Inspection) -> dict[str, str]:
    """The checks that did not pass, with what they measured."""
    assert verdict.passed == all(finding.passed for finding in verdict.findings)
    return {finding.check: finding.measured for finding in verdict.findings if not finding.passed}


def test_a_good_film_passes_every_check(inspection_order: InspectionOrder) -> None:
    verdict = inspected(replace(inspection_order, video=replace(inspection_order.video, loudness_tolerance_lu=0.3)))
    assert failed(verdict) == {}
    assert [finding.check for finding in verdict.findings] == [
        *("size", "pictures", "colour", "sound", "faststart", "damage", "frames", "gaps", "duration"),
        *("black", "frozen", "silence", "loudness", "true peak", "voice"),
    ]


def test_in_a_hurry_nothing_is_looked_at_or_listened_to_but_form_length_damage_and_sync_still_count(
    inspection_order: InspectionOrder, tmp_path: Path
) -> None:
    hurried = replace(inspection_order, perceptual=False)
    assert [finding.check for finding in inspected(hurried).findings] == [
        *("size", "pictures", "colour", "sound", "faststart", "damage", "frames", "gaps", "duration", "voice"),
    ]
    soft = with_sound(inspection_order.film, tmp_path / "soft.mp4", lambda sound: sound * 0.5)
    assert failed(inspected(hurried, soft)) == {}
    late = with_sound(inspection_order.film, tmp_path / "late.mp4", lambda sound: np.roll(sound, 9600, axis=1))
    assert list(failed(inspected(hurried, late))) == ["voice"]
    holed = with_packets(inspection_order.film, tmp_path / "holed.mp4", lambda packets: packets[:100] + packets[101:])
    assert {"frames", "gaps"} <= failed(inspected(hurried, holed)).keys()


def test_a_film_made_again_without_a_fault_still_passes(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    film = with_sound(inspection_order.film, tmp_path / "f.mp4", lambda sound: sound)
    assert failed(inspected(inspection_order, film)) == {}


def test_a_black_stretch_is_found_where_it_is(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    def blacken(pictures: Pictures) -> Pictures:
        height, width = pictures[0].shape
        black = np.full((height, width), 128, np.uint8)
        black[: height * 2 // 3] = 16
        return [*pictures[:90], *[black] * 20, *pictures[110:]]

    found = failed(inspected(inspection_order, with_pictures(inspection_order.film, tmp_path / "f.mp4", blacken)))
    assert found == {"black": "0.67 s, from 3.00 to 3.67 s"}


def test_repeated_frames_are_found_where_they_are(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    def freeze(pictures: Pictures) -> Pictures:
        return [*pictures[:60], *[pictures[60]] * 50, *pictures[110:]]

    found = failed(inspected(inspection_order, with_pictures(inspection_order.film, tmp_path / "f.mp4", freeze)))
    assert list(found) == ["frozen"]
    # The encoder still refines the first repetitions.
    assert float(found["frozen"].split()[0]) == pytest.approx(1.67, abs=0.35)


def test_a_muted_part_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    def mute(sound: Samples) -> Samples:
        sound[:, 1 * RATE_HZ : 4 * RATE_HZ] = 0
        return sound

    found = failed(inspected(inspection_order, with_sound(inspection_order.film, tmp_path / "f.mp4", mute)))
    # All of it: where there is music, a pause of the speaker excuses no silence.
    assert float(found["silence"].split()[0]) == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("late_ms", [200, -200, 60])
def test_a_shifted_voice_is_found(inspection_order: InspectionOrder, tmp_path: Path, late_ms: int) -> None:
    def shift(sound: Samples) -> Samples:
        return np.roll(sound, late_ms * RATE_HZ // 1000, axis=1)

    found = failed(inspected(inspection_order, with_sound(inspection_order.film, tmp_path / "f.mp4", shift)))
    assert list(found) == ["voice"]
    assert f"at most {late_ms} ms off" in found["voice"]


def test_a_film_that_is_cut_off_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    whole = Path(inspection_order.film).read_bytes()
    (tmp_path / "f.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    assert "frames" in failed(inspected(inspection_order, str(tmp_path / "f.mp4")))


def test_corrupted_bytes_are_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    whole = bytearray(Path(inspection_order.film).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 4096] = np.random.default_rng(0).bytes(4096)
    (tmp_path / "f.mp4").write_bytes(whole)
    assert "damage" in failed(inspected(inspection_order, str(tmp_path / "f.mp4")))


def test_a_wrong_size_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    def halve(pictures: Pictures) -> Pictures:
        return [np.full((540, 640), 100 + number % 100, np.uint8) for number in range(len(pictures))]

    found = failed(inspected(inspection_order, with_pictures(inspection_order.film, tmp_path / "f.mp4", halve)))
    assert found["size"] == "640 x 360"


def test_a_missing_frame_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    film = with_packets(inspection_order.film, tmp_path / "f.mp4", lambda packets: packets[:100] + packets[101:])
    assert {"frames", "gaps"} <= failed(inspected(inspection_order, film)).keys()


def test_a_missing_end_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    film = with_packets(inspection_order.film, tmp_path / "f.mp4", lambda packets: packets[:-10])
    assert {"frames", "duration"} <= failed(inspected(inspection_order, film)).keys()


def test_a_film_that_is_too_soft_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    film = with_sound(inspection_order.film, tmp_path / "f.mp4", lambda sound: sound * np.float32(0.5))
    assert list(failed(inspected(inspection_order, film))) == ["loudness"]


def test_a_peak_that_clips_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    def clip(sound: Samples) -> Samples:
        sound[:, 2 * RATE_HZ : 2 * RATE_HZ + 48] = 1.0
        return sound

    film = with_sound(inspection_order.film, tmp_path / "f.mp4", clip)
    assert list(failed(inspected(inspection_order, film))) == ["true peak"]


def test_an_index_at_the_end_is_found(inspection_order: InspectionOrder, tmp_path: Path) -> None:
    film = with_packets(inspection_order.film, tmp_path / "f.mp4", lambda packets: packets, faststart=False)
    assert failed(inspected(inspection_order, film)) == {"faststart": "index last"}


@pytest.mark.parametrize("content", [b"", b"no film", b"\0" * 5000])
def test_what_is_no_film_fails_in_words(inspection_order: InspectionOrder, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.mp4").write_bytes(content)
    assert list(failed(inspected(inspection_order, str(tmp_path / "f.mp4")))) == ["readable"]


def test_a_film_without_sound_fails_in_words(
    inspection_order: InspectionOrder, film: tuple[FilmOrder, Rendered]
) -> None:
    assert list(failed(inspected(inspection_order, film[0].voice))) == ["readable"]


def test_a_plan_that_cannot_be_read_is_an_error_and_no_verdict(
    inspection_order: InspectionOrder, tmp_path: Path
) -> None:
    with pytest.raises(PermanentError, match=r"plan gone\.json cannot be read"):
        inspected(replace(inspection_order, plan=str(tmp_path / "gone.json")))


def test_a_stop_is_obeyed(inspection_order: InspectionOrder) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect(inspection_order, checkpoint=stop, progress=unheard)


def test_a_picture_of_one_colour_is_planned_and_not_called_frozen(tmp_path: Path) -> None:
    asked = order(tmp_path, scenes=(("", "word " * 5),), title="")
    for path in asked.pictures:
        Image.new("RGB", (640, 360), (30, 90, 160)).save(path)
    render(asked, checkpoint=go_on, progress=unheard)
    video = replace(asked.video, freeze_max_s=0.5)
    verdict = inspected(InspectionOrder(asked.out, asked.plan_out, asked.voice, video))
    assert failed(verdict) == {}
