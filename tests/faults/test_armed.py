"""Points are found or refused, and reached once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.providers.kept import answer_type
from deploy.launch.plan import ROOT
from schema.settings.providers import PAID
from tests.faults.armed import arm, is_first, order
from tests.faults.points import ADAPTERS, POINTS, Method, Point, named, resolved


class _Worker:
    """Somebody to interrupt."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def file(self, name: str) -> str:
        """At once."""
        self.did.append(name)
        return name

    async def send(self, name: str) -> str:
        """In a while."""
        if not name:
            raise ValueError("nothing to send")
        self.did.append(name)
        return name


def test_every_point_is_there_for_every_provider() -> None:
    assert set(ADAPTERS) == {name for names in PAID.values() for name in names}
    found = {name: resolved(point, ADAPTERS) for name, point in POINTS.items()}
    assert {name: len(methods) for name, methods in found.items()} == {
        name: 4 if name in ("in_call", "after_call") else 1 for name in POINTS
    }


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ("schema.money.ledger.Ledger.pay", r"there is no schema\.money\.ledger\.Ledger\.pay, where a process was to"),
        ("schema.money.ledger.Purse.reserve", "has no attribute 'Purse'"),
        ("schema.money.purse.Purse.reserve", "No module named 'schema.money.purse'"),
        ("{adapter}.call", "buys from none"),
    ],
)
def test_a_point_that_is_not_there_is_refused(method: str, complaint: str) -> None:
    with pytest.raises(LookupError, match=complaint):
        resolved(Point(method, "before"))


@pytest.mark.parametrize(
    ("point", "actor", "complaint"),
    [
        ("after_lunch", "audio", "there is no point 'after_lunch'; there are before_reserve"),
        ("in_call", "render", "none"),
    ],
)
def test_a_process_that_cannot_die_as_told_does_not_start(
    point: str, actor: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / f"{actor}.{point}").touch()
    command = (sys.executable, "-m", "tests.faults.armed", str(tmp_path), "actors", actor)
    told = subprocess.run(command, check=False, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)
    assert told.returncode == 2
    assert complaint in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == [f"{actor}.{point}"]


@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_a_point_lies_before_or_after_what_the_method_does_and_not_after_one_that_raised(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _Worker()
    for name in ("file", "send"):
        monkeypatch.setattr(_Worker, name, getattr(_Worker, name))  # put back after the test
        arm(Method(_Worker, name), Point("", moment), lambda: worker.did.append("reached"))  # type: ignore[arg-type] # one of them
    assert worker.file("a") == "a"
    assert await worker.send("b") == "b"
    with pytest.raises(ValueError, match="nothing to send"):
        await worker.send("")
    is_after = moment == "after"
    assert worker.did == (["a", "reached", "b", "reached"] if is_after else ["reached", "a", "reached", "b", "reached"])


def test_an_armed_adapter_still_says_what_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    (method,) = resolved(named("after_call"), ["pexels"])
    adapter: Any = object.__new__(method.owner)
    before = answer_type(adapter)
    monkeypatch.setattr(method.owner, method.name, getattr(method.owner, method.name))
    arm(method, named("after_call"), lambda: None)
    assert answer_type(adapter) == before


def test_an_order_is_carried_out_once(tmp_path: Path) -> None:
    assert not is_first(tmp_path / "audio.before_ack")
    reached = order(tmp_path, "audio", "before_ack")
    assert [is_first(tmp_path / "audio.before_ack") for _ in range(3)] == [True, False, False]
    assert reached.exists()
