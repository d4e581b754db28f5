"""The real pynvml on the fake driver, in a process whose loader finds it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import msgspec
import pytest

from guardians.nvml import Card, GpuProcess, Nvml, Reading, Trouble
from tests.fakes.nvml import DRIVER_NOT_LOADED, GPU_IS_LOST, INSUFFICIENT_MEMORY, NOT_SUPPORTED, TIMEOUT, Driver

#: Reads the cards once for each line it is sent; the library stays open in between.
_READER = """
import sys, msgspec
from guardians.nvml import Nvml
nvml = Nvml()
for _ in sys.stdin:
    print(msgspec.json.encode(nvml.read()).decode(), flush=True)
"""
Read = Callable[[], Reading]


@pytest.fixture
def read(driver: Driver) -> Iterator[Read]:
    """One reading, by a process that lives as long as the test."""
    command, environ = (sys.executable, "-c", _READER), {**os.environ, **driver.environ}
    reader = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdin is not None
    assert reader.stdout is not None
    asks, answers = reader.stdin, reader.stdout

    def once() -> Reading:
        asks.write("\n")
        asks.flush()
        return msgspec.json.decode(answers.readline(), type=Reading)

    yield once
    asks.close()
    assert reader.wait(10) == 0, "an exception came out of the file"
    answers.close()


def test_a_card_tells_its_figures_and_its_processes(read: Read, driver: Driver) -> None:
    driver.says("0.used_mb 9000", "0.utilization 70", "0.temperature 66", "0.sessions 2", "0.process.0 42:1500")
    assert read() == Reading((Card(0, "Fake card 0", 32768, 9000, 23768, 70, 66, 2, (GpuProcess(42, 1500),)),))
    driver.says("0.used_mb 1", "1.total_mb 16384", cards=2)
    assert [(card.total_mb, card.used_mb) for card in read().cards] == [(32768, 1), (16384, 0)]


def test_a_figure_that_a_card_does_not_know_is_none(read: Read, driver: Driver) -> None:
    missing = ("UtilizationRates", "Temperature", "EncoderStats", "ComputeRunningProcesses", "Name")
    driver.says(*(f"0.nvmlDeviceGet{what} {NOT_SUPPORTED}" for what in missing))
    assert read() == Reading((Card(0, "card 0", 32768, 0, 32768),))


def test_no_driver_no_card_and_no_library_are_answers(read: Read, driver: Driver) -> None:
    driver.says(f"nvmlInitWithFlags {DRIVER_NOT_LOADED}")
    assert read() == Reading(troubles=(Trouble("absent", "Driver Not Loaded"),))
    driver.says(cards=0)
    assert read() == Reading(troubles=(Trouble("absent", "the driver knows of no card"),))


@pytest.mark.skipif(bool(Nvml().read().cards), reason="this machine has a card")
def test_no_library_is_an_answer() -> None:
    [trouble] = Nvml().read().troubles
    assert (trouble.kind, trouble.card) == ("absent", None)


def test_one_lost_card_leaves_the_other_and_comes_back(read: Read, driver: Driver) -> None:
    driver.says(f"1.nvmlDeviceGetMemoryInfo {GPU_IS_LOST}", cards=2)
    lost = read()
    assert [card.index for card in lost.cards] == [0]
    assert lost.troubles == (Trouble("lost", "GPU is lost", 1),)
    driver.says(f"nvmlInitWithFlags {DRIVER_NOT_LOADED}", cards=2)
    assert read() == Reading(troubles=(Trouble("absent", "Driver Not Loaded"),)), "the library is opened anew"
    driver.says(cards=2)
    assert len(read().cards) == 2


def test_a_driver_that_is_lost_as_a_whole_is_opened_anew(read: Read, driver: Driver) -> None:
    assert read().cards
    driver.says(f"nvmlDeviceGetCount {GPU_IS_LOST}", f"nvmlShutdown {GPU_IS_LOST}")
    assert read() == Reading(troubles=(Trouble("lost", "GPU is lost"),))
    driver.says()
    assert read().cards


@pytest.mark.parametrize(
    ("code", "kind"), [(INSUFFICIENT_MEMORY, "out_of_memory"), (TIMEOUT, "failing"), (777, "failing")]
)
def test_other_errors_of_a_card_are_answers_too(read: Read, driver: Driver, code: int, kind: str) -> None:
    driver.says(f"0.nvmlDeviceGetUtilizationRates {code}")
    [trouble] = read().troubles
    assert (trouble.kind, trouble.card) == (kind, 0)
