"""What watching costs where nothing happens: guardians as the Procfile starts them, with their defaults."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from guardians.__main__ import NAMES
from tests.integration.guardians.conftest import Guardian

_SETTLE_S, _LOOK_S = 5.0, 60.0
_MOST_PERCENT = 1.0


def _cpu_s(guardian: Guardian) -> float:
    times = psutil.Process(guardian.process.pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.slow
def test_each_guardian_takes_less_than_one_per_cent_of_a_core_where_nothing_happens(
    valkey_url: str, database_url: str, tmp_path: Path
) -> None:
    settings = {"REDIS_URL": valkey_url, "DATABASE_URL": database_url, "YTEMPIRE_DATA_DIR": str(tmp_path)}
    guardians = {name: Guardian(name, settings, tmp_path / f"{name}.log") for name in NAMES}
    try:
        for name, guardian in guardians.items():
            end_s = time.monotonic() + 60
            while "process.ready" not in guardian.said():
                assert time.monotonic() < end_s, f"{name} is not ready: {guardian.said()}"
                time.sleep(0.05)
        time.sleep(_SETTLE_S)
        before_s, began_s = {name: _cpu_s(guardian) for name, guardian in guardians.items()}, time.monotonic()
        time.sleep(_LOOK_S)
        took_s = time.monotonic() - began_s
        percent = {name: 100 * (_cpu_s(guardian) - before_s[name]) / took_s for name, guardian in guardians.items()}
    finally:
        for guardian in guardians.values():
            guardian.process.kill()
            guardian.process.wait()
    print(", ".join(f"{name} {share:.2f}%" for name, share in percent.items()))  # noqa: T201 - the figure that is asked for
    assert {name: share for name, share in percent.items() if share >= _MOST_PERCENT} == {}
