from __future__ import annotations

import threading

import pytest

from streams.gate import Gate, State
from streams.interrupts import Halted, Interrupted, ReturnTo, ShuttingDown, Superseded


def test_an_open_gate_takes_work_and_lets_it_go_on() -> None:
    gate = Gate()
    assert (gate.state, gate.takes(), gate.wait_until_open(0)) == ("open", True, True)
    gate.checkpoint()


def test_a_pause_takes_nothing_and_lets_running_work_end() -> None:
    gate = Gate("paused")
    assert not gate.takes()
    gate.checkpoint()


@pytest.mark.parametrize(("state", "interrupt"), [("halted", Halted), ("stopping", ShuttingDown)])
def test_running_work_stops_at_its_next_checkpoint(state: State, interrupt: type[Interrupted]) -> None:
    gate = Gate(state)
    with pytest.raises(interrupt):
        gate.checkpoint()
    assert not gate.takes()


def test_an_interrupt_is_not_swallowed_by_a_stage_that_catches_everything() -> None:
    for interrupt in (Halted(), ShuttingDown(), Superseded(), ReturnTo("host-render-1-ab")):
        assert not isinstance(interrupt, Exception)
        assert str(interrupt) == interrupt.reason != ""
    assert str(Halted("cost")) == "cost"


def test_a_stopping_gate_never_opens_again() -> None:
    gate = Gate()
    gate.stop()
    gate.set("open")
    assert gate.state == "stopping"
    assert not gate.wait_until_open(0.01)


def test_those_who_asked_are_told_of_each_change_once() -> None:
    gate, told = Gate(), list[State]()
    gate.on_change(told.append)
    for state in ("halted", "halted", "open"):
        gate.set(state)
    gate.stop()
    gate.stop()
    assert told == ["halted", "open", "stopping"]


def test_whoever_waits_goes_on_when_the_gate_opens() -> None:
    gate, opened = Gate("halted"), list[bool]()
    waiting = threading.Thread(target=lambda: opened.append(gate.wait_until_open(10)))
    waiting.start()
    gate.set("paused")
    gate.set("open")
    waiting.join(10)
    assert opened == [True]


def test_the_time_spent_halted_is_counted_and_no_other() -> None:
    now = [0.0]
    gate = Gate(now_s=lambda: now[0])
    for state, seconds in (("halted", 3.0), ("paused", 5.0), ("halted", 2.0)):
        gate.set(state)  # type: ignore[arg-type] # states all
        now[0] += seconds
    assert gate.halted_s() == 5.0
    gate.set("open")
    now[0] += 7.0
    assert gate.halted_s() == 5.0
