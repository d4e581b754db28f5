from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest
from av.video.frame import PictureType

from actors.rendering.order import FilmOrder
from actors.rendering.planning.framing import Move
from actors.rendering.planning.plan import Plan, Shot
from deploy.launch.plan import ROOT
from schema.errors import ConfigurationError
from tests.bench.page import END, check
from tests.bench.render import captions, figures, materials, page, truth
from tests.bench.render.asked import Options
from tests.bench.render.bare import decoded
from tests.bench.render.cli import _clock
from tests.bench.render.figures import Measured
from tests.bench.render.parts import Clocks, Parts
from tests.bench.render.run import brought
from tests.bench.render.running import Used
from tests.bench.table import exit_code

MOVE = Move("in", 1.0, 1.1, 0.5, 0.5, 0.5, 0.5)
PARTS = Parts({"compositor": 1.0, "AAC": 0.5}, mastering_s=0.5)
#: The last round was on a busy machine.
MEASURED = Measured(
    "still",
    frames=720,
    of={
        "ours": [Used(18.5, 10, 450), Used(18.0, 9, 460), Used(40.0, 90, 440)],
        "bare": [Used(14.4, 8, 0), Used(14.0, 8, 0), Used(30.0, 80, 0)],
        "ffmpeg": [Used(30.0, 20, 480), Used(28.8, 19, 470), Used(60.0, 180, 480)],
    },
    failures={"moviepy": "its packages cannot be installed"},
    parts=PARTS,
)


def test_the_limit_is_compared_with_ours_less_mastering_by_medians() -> None:
    floor, goal = figures.efficiency(MEASURED, "still", floor=0.78, goal=0.85)
    assert floor.value == goal.value == pytest.approx(14.4 / 18.0)
    assert (floor.ok, goal.ok) == (True, False)
    assert floor.peers == {"ffmpeg": pytest.approx(14.4 / 30.0)}
    assert "0.778 with mastering" in floor.note


def test_what_nobody_named_is_the_hand_over() -> None:
    left = figures.left_over(MEASURED)
    assert left == {"compositor": 1.0, "AAC": 0.5, "hand-over and the rest": pytest.approx(18.0 - 14.4 - 1.5)}
    assert sum(left.values()) == pytest.approx(18.0 - 14.4)


def test_wall_is_that_of_the_whole_job() -> None:
    floor, goal = figures.wall(MEASURED, "still", floor=0.6, goal=0.5)
    assert floor.value == pytest.approx(0.5)
    assert (floor.ok, goal.ok) == (True, True)
    assert MEASURED.peak_mb("ours") == 460


@pytest.mark.parametrize("absent", ["ours", "bare"])
def test_a_side_that_is_missing_misses_the_goal_and_says_why(absent: str) -> None:
    of = {who: used for who, used in MEASURED.of.items() if who != absent}
    broken = msgspec.structs.replace(MEASURED, of=of, failures={absent: "not here yet: a clip"})
    rows = figures.efficiency(broken, "still", floor=0.78, goal=0.85)
    assert [(row.value, row.ok) for row in rows] == [(None, False)] * 2
    assert f"{absent} (not here yet: a clip)" in rows[0].note
    assert exit_code(rows) == 1


def test_without_mastering_measured_there_is_no_figure() -> None:
    rows = figures.efficiency(msgspec.structs.replace(MEASURED, parts=None), "still", floor=0.78, goal=0.85)
    assert [(row.ok, row.note) for row in rows] == [(False, "mastering was not measured")] * 2


def test_the_bare_encoders_memory_is_no_figure() -> None:
    shown = "\n".join(figures.table([MEASURED]))
    assert "its packages cannot be installed" in shown
    peak = next(row for row in figures.unjudged(MEASURED) if row.row.startswith("still: peak"))
    assert peak.peers == {"ffmpeg": 480}


def test_a_module_that_is_not_there_misses_its_goal_by_name() -> None:
    for module, why in (
        ("no_such_thing", "there is no tests/bench/render/no_such_thing.py"),
        ("apart", "has no gate()"),
    ):
        [row] = brought("faults", module, "gate", (20,))
        assert (row.value, row.ok, why in row.note) == (None, False, True), row


def test_what_there_is_not_is_named() -> None:
    with pytest.raises(ConfigurationError, match="there is no contestant nobody"):
        Options(contestants=("ours", "nobody")).check()
    assert not Options(only=("clips",)).has("still")


def test_a_run_goes_between_the_marks_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{END}\nafter\n")
    rows = figures.efficiency(MEASURED, "still", floor=0.78, goal=0.85)
    for _ in range(2):
        page.put(path, rows, figures.cells([MEASURED]), ["- a note"])
    text = path.read_text()
    assert text.startswith(f"before\n{page.BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| still: CPU of the bare encode / ours, goal | >= 0.85 | 0.8 | **missed** |" in text
    assert "| still, ours | 18.5 |" in text
    assert text.count("a note") == 1
    path.write_text("no marks")
    with pytest.raises(ConfigurationError, match="has no place for a run"):
        Options(page=str(path)).check()


def test_the_page_of_the_renderer_has_its_place_and_every_test_that_it_names() -> None:
    check(ROOT / "docs" / "render.md", page.BEGIN)
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "render.md").read_text()))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_the_bare_encoder_chooses_its_own_kinds_of_frames(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    materials.clip(clip, 1, None, (96, 64), 1.0)
    shots = [Shot(0, 0, first, first + 12, fade, MOVE) for first, fade in ((0, 0), (8, 4))]
    order = cast("FilmOrder", SimpleNamespace(pictures=(str(clip),)))
    frames = list(decoded(order, cast("Plan", SimpleNamespace(fps=30, shots=shots))))
    assert len(frames) == 20
    assert {frame.pict_type for frame in frames} == {int(PictureType.NONE)}
    starts_s = [frame.time for frame in frames[:12]]
    assert starts_s == sorted(starts_s)
    assert all(start <= at / 30 + 1e-6 for at, start in enumerate(starts_s))


def test_captions_are_judged_by_how_far_off_they_are_either_way() -> None:
    floor, goal, p95 = captions.judged("made up", [-0.030, 0.030, 0.010, -0.010, 0.031])
    assert floor.value == pytest.approx(30)
    assert (floor.ok, goal.ok) == (True, False)
    assert p95.value == pytest.approx(30.8)
    assert "+10 ms late" in floor.note
    assert exit_code(captions.judged("made up", [])) == 1


def test_the_beginning_of_a_sound_is_found_to_the_millisecond() -> None:
    rate_hz = 24_000
    sound = np.random.default_rng(1).normal(0, 1e-4, rate_hz).astype(np.float32)
    begin = round(0.3210 * rate_hz)
    sound[begin:] += np.sin(np.arange(rate_hz - begin) * 0.3).astype(np.float32)
    assert truth.onset_s(sound, rate_hz) == pytest.approx(0.321, abs=0.0015)
    assert truth.onset_s(sound[begin:], rate_hz) == 0.0


def test_known_words_lie_where_they_are_said_to() -> None:
    rate_hz = 24_000
    said = [truth.Said(f"word{number}", np.ones(rate_hz // 10, np.float32), 0.02) for number in range(9)]
    one, two = truth.utterances(said, rate_hz)
    assert (len(one.words), len(two.words)) == (7, 2)
    for at_s in (*one.starts_s,):
        begin = round(at_s * rate_hz)
        assert abs(one.sound[begin - 1]) < 0.01 < one.sound[begin]
    assert one.by_the_voice().words[3].start_s == pytest.approx(one.starts_s[3] + 0.02)


def test_a_clock_counts_a_function_once_and_names_what_is_gone() -> None:
    clocks = Clocks()
    clocks.watch("gone", "tests.bench.render.figures:no_such_function")
    inner = clocks._timed("inner", lambda: sum(range(200_000)))
    outer = clocks._timed("outer", lambda: inner() + inner())
    outer()
    assert clocks.missing == ["tests.bench.render.figures:no_such_function"]
    assert list(clocks.of) == ["outer"]
    assert clocks.of["outer"] > 0


def test_times_of_subtitles_are_hundredths() -> None:
    assert [_clock(at_s) for at_s in (0, 59.996, 3725.5)] == ["0:00:00.00", "0:01:00.00", "1:02:05.50"]
