from __future__ import annotations

import pytest

from guardians.cards import LOOKS, Latch, MemoryLimits, Utilization, export, memory_level, memory_limits
from guardians.nvml import Card, GpuProcess, Reading
from guardians.watch import Level
from schema.settings.limits import Limits
from schema.telemetry import metrics

LIMITS = Limits()


def card(used_mb: int, total_mb: int = 32768, **figures: int) -> Card:
    return Card(0, "card", total_mb, used_mb, total_mb - used_mb, **figures)  # type: ignore[arg-type] # figures are int


@pytest.mark.parametrize(
    ("total_mb", "allowed"),
    [
        (32768, MemoryLimits(4096, 30720)),
        (32607, MemoryLimits(4096, 30720)),  # a card sold as of 32 GB
        (16384, MemoryLimits(2048, 15360)),
        (81920, MemoryLimits(10240, 76800)),
    ],
)
def test_a_card_of_another_size_has_the_same_shares(total_mb: int, allowed: MemoryLimits) -> None:
    assert memory_limits(total_mb, LIMITS) == allowed


@pytest.mark.parametrize(
    ("used_mb", "level"),
    [
        (0, "normal"),
        (28672, "normal"),
        (28673, "warning"),
        (30720, "warning"),
        (30721, "critical"),
        (32768, "critical"),
    ],
)
def test_memory_is_low_below_its_free_limit_and_full_above_its_used_one(used_mb: int, level: Level) -> None:
    assert memory_level(card(used_mb), LIMITS) == level


def test_what_is_held_back_goes_on_only_when_nothing_spoke_for_it_for_a_while() -> None:
    latch = Latch(calm_s=30)
    assert latch.update("", now_s=0, stays=True) == "", "what is not on cannot stay on"
    assert latch.update("full", now_s=1) == "full"
    assert latch.update("", now_s=20, stays=True) == "full"
    assert latch.update("", now_s=49) == "full"
    assert latch.update("", now_s=50) == ""
    assert latch.update("", now_s=51, stays=True) == ""


@pytest.mark.parametrize(("percent", "level"), [(85, "normal"), (86, "warning"), (95, "warning"), (96, "critical")])
def test_utilisation_is_judged_by_the_average_of_some_looks(percent: int, level: Level) -> None:
    utilization = Utilization(LIMITS)
    reading = Reading((card(0, utilization_percent=percent),))
    for _ in range(LOOKS - 1):
        assert utilization.judge(reading)[0] == "normal"
    assert utilization.judge(reading) == (level, f"card 0: {percent}% utilisation")
    assert utilization.judge(Reading((card(0, utilization_percent=0),)))[0] == "normal"


def test_each_figure_is_exported_beside_its_limit_and_what_is_not_known_is_not() -> None:
    def sample(name: str, **labels: str) -> float | None:
        return metrics.REGISTRY.get_sample_value(f"ytempire_gpu_{name}", {"card": "0", **labels})

    figures = card(28000, temperature_c=61, encoder_sessions=3)
    export(Reading((Card(0, "c", 32768, 28000, 4768, 0, 61, 3, (GpuProcess(7, 900), GpuProcess(8, None))),)), LIMITS)
    assert figures.utilization_percent is None
    expected = {"total": 32768, "used": 28000, "free": 4768, "limit_used": 30720, "limit_free": 4096}
    assert {kind: sample("memory_bytes", kind=kind) for kind in expected} == {
        kind: mb * 2**20 for kind, mb in expected.items()
    }
    assert sample("utilization_ratio") == 0
    assert sample("encoder_sessions") == 3
    assert sample("process_bytes", pid="7") == 900 * 2**20
    assert sample("process_bytes", pid="8") is None
    export(Reading((figures,)), LIMITS)
    assert sample("utilization_ratio") is None
    assert sample("temperature_celsius") == 61
    export(Reading(), LIMITS)
    assert sample("memory_bytes", kind="used") is None
    assert sample("temperature_celsius") is None
