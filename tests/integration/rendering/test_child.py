from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from actors.rendering.__main__ import Speaker, obey, problem
from actors.rendering.composing import card as cards
from actors.rendering.order import RELEASE_GPU, FilmOrder, Inspection, InspectionOrder, Rendered
from schema.errors import PermanentError, RetryableError
from tests.fakes.card import FakeCupy
from tests.unit.rendering.orders import order

COMMAND = (sys.executable, "-m", "actors.rendering")
LONG = (("", "word " * 120),)
SHORT = (("", "Octopuses have three hearts."),)
Child = subprocess.Popen[bytes]


@pytest.fixture
def children() -> Iterator[list[Child]]:
    """Processes that end with the test."""
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def start(children: list[Child], verb: str, asked: msgspec.Struct, folder: Path) -> Child:
    path = folder / "order.json"
    path.write_bytes(msgspec.json.encode(asked))
    child = subprocess.Popen([*COMMAND, verb, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    children.append(child)
    return child


def lines(child: Child) -> list[dict[str, Any]]:
    assert child.stdout is not None
    return [json.loads(line) for line in child.stdout]


def first_line(child: Child) -> dict[str, Any]:
    """Wait until the child has something to say."""
    assert child.stdout is not None
    said: dict[str, Any] = json.loads(child.stdout.readline())
    return said


def left_of_film(asked: FilmOrder) -> list[str]:
    return [path.name for path in Path(asked.out).parent.iterdir() if path.name.startswith(("film", "plan"))]


def test_a_film_and_its_inspection_come_back_as_lines(tmp_path: Path, children: list[Child]) -> None:
    asked = order(tmp_path)
    child = start(children, "film", asked, tmp_path)
    *progress, last = lines(child)
    made = msgspec.convert(last["result"], Rendered)
    assert child.wait() == 0
    assert progress[0] == {"frame": 1, "of": made.frames}
    assert Path(asked.out).exists()
    child = start(children, "inspect", InspectionOrder(asked.out, asked.plan_out, asked.voice, asked.video), tmp_path)
    *progress, last = lines(child)
    assert msgspec.convert(last["result"], Inspection).passed
    assert child.wait() == 0
    assert progress[0] == {"frame": 1, "of": made.frames}


def test_an_order_that_cannot_be_filmed_comes_back_as_a_permanent_error(tmp_path: Path, children: list[Child]) -> None:
    asked = order(tmp_path)
    child = start(children, "film", replace(asked, script=replace(asked.script, title="𒀀")), tmp_path)
    said = lines(child)
    assert child.wait() == 1
    assert len(said) == 1
    assert said[0]["error"]["kind"] == "permanent"
    assert "U+12000" in said[0]["error"]["message"]
    assert said[0]["error"]["hint"]


def test_an_order_that_cannot_be_read_comes_back_as_a_permanent_error(tmp_path: Path, children: list[Child]) -> None:
    child = start(children, "film", InspectionOrder("", "", "", order(tmp_path).video), tmp_path)
    assert "order.json cannot be read" in lines(child)[0]["error"]["message"]
    assert child.wait() == 1


def test_sigterm_stops_between_two_frames_and_leaves_nothing(tmp_path: Path, children: list[Child]) -> None:
    asked = order(tmp_path, scenes=LONG)
    child = start(children, "film", asked, tmp_path)
    assert first_line(child)["frame"] == 1
    child.terminate()
    said = lines(child)
    assert child.wait() == 128 + signal.SIGTERM
    assert not any("result" in line or "error" in line for line in said)
    assert left_of_film(asked) == []


def test_what_is_said_to_a_child_without_a_card_changes_nothing(tmp_path: Path, children: list[Child]) -> None:
    child = start(children, "film", order(tmp_path, scenes=SHORT), tmp_path)
    first_line(child)
    assert child.stdin is not None
    child.stdin.write(RELEASE_GPU + b"\nwhat else\n\xff" + RELEASE_GPU[:5])
    child.stdin.flush()
    said = lines(child)
    assert child.wait() == 0
    assert not any("released_bytes" in line for line in said)
    assert "result" in said[-1]


def test_a_child_with_a_card_frees_what_it_does_not_use(
    cupy: FakeCupy, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with cards.opened("auto"):
        cupy.kept_bytes = 1234
        obey(RELEASE_GPU)
        obey(b'{"release_gpu":false}')
    obey(RELEASE_GPU)
    assert capfdbinary.readouterr().out == b'{"released_bytes":1234}\n'
    assert cupy.counts["freed"] == 1


def test_it_ends_when_its_standard_input_does(tmp_path: Path, children: list[Child]) -> None:
    child = start(children, "film", order(tmp_path, scenes=LONG), tmp_path)
    first_line(child)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=10) == 1
    child.stdin = None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells a child of its parent's death on Linux only")
def test_it_dies_with_its_parent_though_its_standard_input_stays_open(tmp_path: Path, children: list[Child]) -> None:
    (tmp_path / "order.json").write_bytes(msgspec.json.encode(order(tmp_path, scenes=LONG)))
    parent = f"import subprocess; subprocess.run({[*COMMAND, 'film', str(tmp_path / 'order.json')]!r})"
    read, write = os.pipe()
    middle = subprocess.Popen([sys.executable, "-c", parent], stdin=read, stdout=subprocess.PIPE)
    children.append(middle)
    first_line(middle)
    middle.kill()
    said = lines(middle)  # ends when the last process that holds the pipe, the child, has gone
    assert not any("result" in line for line in said)
    os.close(read)
    os.close(write)


def test_progress_is_told_at_most_every_half_second(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    times = iter([10.0, 10.4, 10.5, 10.9, 11.1])
    speaker = Speaker(lambda: next(times))
    for frame in range(5):
        speaker.progress(frame, 5)
    said = [json.loads(line)["frame"] for line in capfdbinary.readouterr().out.splitlines()]
    assert said == [0, 2, 4]


def test_errors_say_whether_trying_again_can_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert problem(PermanentError("no", hint="ask")).kind == "permanent"
    assert problem(RetryableError("later")).kind == "retryable"
    assert problem(OSError(28, "No space left on device")).kind == "retryable"
    assert problem(TypeError("a mistake")).kind == "permanent"
    assert "TypeError: a mistake" in capsys.readouterr().err
