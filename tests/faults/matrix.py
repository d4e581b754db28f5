"""The faults, as data: each case breaks something on the ground, and says after how many seconds its work went on.

Rows are numbered as in the table of the docs. A case leaves its videos at an end, or waits for it; what must hold is
asked by whoever plays it. A row without cases was never played.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final, cast

from deploy.launch.plan import ROOT
from schema import flow
from tests.fakes.faults import Fault, Kind, Provider
from tests.faults import bus_trouble, clocks, floods, record_trouble, upgrades
from tests.faults.case import Case, Needs
from tests.faults.ground import Ground

__all__ = ["CASES", "ROWS", "TESTED", "Case"]

ROWS: Final[Mapping[int, str]] = {
    1: "kill -9 at every named point of every stage",
    2: "kill -9 of a guardian, the dispatcher, the gateway",
    3: "kill -9 in recovery; recovery twice, on two machines",
    4: "FLUSHALL, a stream deleted, a group destroyed",
    5: "Redis killed, restarted empty, set back",
    6: "Redis silent, lost, half-open, slow, full; a halt then",
    7: "Postgres killed, restarted, read-only, full, lost, slow",
    8: "cut off from Postgres after a call was sent",
    9: "a provider that bills and times out, fails, drips, lies",
    10: "16 processes race for the last dollar",
    11: "the same event again and again",
    12: "poison",
    13: "floods",
    14: "a zombie: stopped for two leases, then awake",
    15: "the clock: an hour, summer time, midnight, a server's",
    16: "a full disk",
    17: "a card without memory, sessions, driver",
    18: "the parent killed while the encoder runs",
    19: "halted and resumed",
    20: "a backup in mid-run, restored, replayed",
    21: "a rolling upgrade",
}
#: Rows, or parts of them, that tests of their own show: played by running these. They have a ground of their own.
TESTED: Final[Mapping[int, tuple[str, ...]]] = {
    3: ("tests/integration/guardians/test_rebuild_of_a_full_house.py",),
    8: (
        "tests/integration/bus_and_record",
        "tests/integration/record/test_postgres.py",
        "tests/integration/money/test_journal.py",
    ),
    10: ("tests/integration/money/test_race.py",),
    15: ("tests/integration/money/test_ledger.py", "tests/integration/streams/test_observer.py", "tests/conformance"),
    16: (
        "tests/integration/money/test_journal.py",
        "tests/integration/recovery/test_backups.py",
        "tests/integration/guardians/test_vitals.py",
    ),
    17: (
        "tests/integration/guardians/test_gpu.py",
        "tests/integration/guardians/test_nvml.py",
        "tests/unit/rendering/test_backend.py",
    ),
    18: ("tests/integration/rendering/test_child.py", "tests/integration/rendering/test_resuming.py"),
    20: ("tests/integration/recovery",),
}
_BOUGHT: Final = ("before_reserve", "after_reserve", "after_sent", "in_call", "after_call", "before_settle")
_COMMITTED: Final = ("before_commit", "after_commit", "before_ack")
_PROVIDERS: Final[Mapping[str, str]] = {"script": "openai", "media": "pexels", "audio": "elevenlabs"}
_PROVIDER_FAULTS: Final = (
    "latency", "rate_limited", "server_error", "bad_gateway", "hang", "slow_drip", "malformed_body", "reset_before",
    "reset_after",
)  # fmt: skip
#: Another attempt has begun, or the stage is done, so that none is needed.
_WENT_ON: Final = """
SELECT EXISTS (SELECT FROM stage_attempts WHERE video_id = $1 AND stage = $2 AND attempt > 1)
    OR EXISTS (SELECT FROM video_stages WHERE video_id = $1 AND stage = $2 AND status = 'done')"""

_REFUSED: Final = "SELECT count(*) FROM refused_events"


def dies(ground: Ground, stage: str, point: str) -> float:
    """A stage dies at a point; the seconds until its work went on, or was seen to be done."""
    if point == "in_call":
        ground.fakes.order(Fault(cast("Provider", _PROVIDERS[stage]), "hang"))
    reached = ground.order(stage, point)
    pid = ground.factory.pid_of(stage)
    (video,) = ground.submit()
    ground.until(reached.exists)
    if point == "in_call":
        provider = _PROVIDERS[stage]
        ground.until(lambda: any(line.outcome == "hang" for line in ground.fakes.lines(provider)))
        os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    ground.until(lambda: ground.value(_WENT_ON, video, stage))
    recovery_s = time.monotonic() - began_s
    ground.until_ended(video)
    return recovery_s


def killed(ground: Ground, victim: str) -> float:
    """A process or a server is killed while there is work."""
    videos = ground.submit(3)
    ground.kill(victim)
    began_s = time.monotonic()
    ground.until_ended(*videos)
    videos = ground.submit()
    ground.until_ended(*videos)
    return time.monotonic() - began_s


def wiped(ground: Ground, command: tuple[str, ...]) -> float:
    """Something of Redis is lost while there is work."""
    videos = ground.submit(5)
    ground.factory.redis(*command)
    return ground.until_ended(*videos)


def silent(ground: Ground, victim: str, seconds: float) -> float:
    """A server or a process does nothing for a while, and wakes up; how long until its work was done after that."""
    videos = ground.submit(3)
    pid = ground.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(seconds)  # the fault itself is that time passes
    finally:
        os.kill(pid, signal.SIGCONT)
    return ground.until_ended(*videos)


def sleeps_through_its_lease(ground: Ground, stage: str) -> None:
    """A stage is stopped with work in hand for two leases, and wakes up: it may commit or not, but once."""
    silent(ground, stage, 5.0)


def refused_by_the_record(ground: Ground, sql: str) -> float:
    """Postgres turns against whoever works."""
    videos = ground.submit(3)
    ground.value(sql)
    return ground.until_ended(*videos)


def sold_badly(ground: Ground, stage: str, kind: str) -> None:
    """A provider does wrong twice: the video has an end, and every cent is told."""
    ground.fakes.order(Fault(cast("Provider", _PROVIDERS[stage]), cast("Kind", kind), seconds=0.2, count=2))
    ground.until_ended(*ground.submit(2), within_s=90)


def repeated(ground: Ground, times: int) -> None:
    """One request comes again and again, with and without a key, and each fact of its video, too."""
    key = f"again-{ground.rng.getrandbits(32):08x}"
    first = ground.submit(key=key)
    again = [ground.submit(key=key, topic="Another topic")[0] for _ in range(times)]
    assert set(again) == set(first), f"one key became several videos: {set(again)}"
    ground.until_ended(*first)
    transport = ground.factory.transport
    for stream in {stage.stream for stage in flow.STAGES} | {flow.ADMITTED_STREAM}:
        entries = transport.observe({stream: "0-0"}, 0.05)
        for entry in ground.rng.sample(entries, len(entries)):
            for _ in range(min(times, 5)):
                ground.factory.redis("XADD", stream, "*", *(part for pair in entry.fields.items() for part in pair))


def poisoned(ground: Ground) -> None:
    """Entries that are none, in every stream that an actor reads."""
    junk: tuple[tuple[str | bytes, ...], ...] = (
        ("topic", b"\xff\xfe\x00"),
        ("nothing", "of it"),
        ("topic", "x", "notes", b"n" * 10_000_000),
        ("v", "99", "type", "script.completed", "video", "261125-aaaaaaaa"),
        ("topic", "x", "priority", "eleven"),
    )
    streams = ("stream:intake", "stream:control", flow.ADMITTED_STREAM, flow.FIRST.stream)
    before = ground.value(_REFUSED)
    for stream in streams:
        for fields in junk:
            ground.factory.redis("XADD", stream, "*", *fields)
    ground.until_ended(*ground.submit(2))
    ground.until(lambda: ground.value(_REFUSED) == before + len(junk) * len(streams))


def halted(ground: Ground, *, times: int) -> float:
    """Halted twice in mid-work: whatever was not sent yet is not sent before the resume."""
    videos = ground.submit(4)
    for _ in range(times):
        ground.factory.command(type="halt", reason="fault")
    halted_at = ground.value("SELECT clock_timestamp()")
    time.sleep(1.0)  # work would go on in this time
    sent = ground.value("SELECT count(*) FROM money.reservations WHERE sent_at > $1", halted_at)
    assert sent == 0, f"I7: {sent} calls were sent after a halt was committed"
    ground.factory.command(type="resume")
    return ground.until_ended(*videos)


def shown(row: int) -> None:
    """What tests of their own show; where one of them fails, its end is told."""
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--numprocesses=2", *TESTED[row])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "".join(done.stdout.splitlines(keepends=True)[-15:])


def _deaths() -> Iterator[tuple[str, str]]:
    for stage in ("script", "media", "audio", "render", "quality"):
        buys, files = stage in _PROVIDERS, stage in ("media", "audio", "render")
        for point in (*(_BOUGHT if buys else ()), *(("after_file",) if files else ()), *_COMMITTED):
            yield stage, point


#: Every named point of every stage.
DEATHS: Final = tuple(_deaths())


def _cases() -> Iterator[Case]:
    for stage, point in DEATHS:
        is_short = (stage, point) in {
            ("audio", "after_call"),
            ("render", "after_file"),
            ("quality", "after_commit"),
        }
        yield Case(1, f"{stage} dies at {point}", partial(dies, stage=stage, point=point), short=is_short)
    for victim in ("dispatch", "intake", "control", "integrity", "stuck", "cost", "gpu", "vitals", "gateway"):
        yield Case(2, f"{victim} killed", partial(killed, victim=victim), short=victim == "dispatch")
    yield Case(4, "FLUSHALL", partial(wiped, command=("FLUSHALL",)), short=True, within_s=30)
    for stream in ("stream:scripts", flow.ADMITTED_STREAM):
        yield Case(4, f"DEL {stream}", partial(wiped, command=("DEL", stream)), within_s=30)
    yield Case(
        4, "XGROUP DESTROY", partial(wiped, command=("XGROUP", "DESTROY", "stream:scripts", "media")), within_s=30
    )
    yield Case(5, "Redis killed", partial(killed, victim="valkey"), short=True, within_s=30)
    yield from bus_trouble.cases()
    yield Case(7, "Postgres killed", partial(killed, victim="postgres"), within_s=30)
    others = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    yield Case(7, "connections killed", partial(refused_by_the_record, sql=others), short=True, within_s=30)
    yield from record_trouble.cases()
    for stage, provider in _PROVIDERS.items():
        for kind in _PROVIDER_FAULTS:
            is_short = (provider, kind) in {("openai", "reset_after"), ("elevenlabs", "malformed_body")}
            yield Case(9, f"{provider}: {kind}", partial(sold_badly, stage=stage, kind=kind), short=is_short)
    yield Case(11, "50 times", partial(repeated, times=50))
    yield Case(11, "5 times", partial(repeated, times=5), short=True)
    yield Case(12, "in every stream", poisoned, short=True)
    yield from floods.cases()
    for stage in ("audio", "render"):
        yield Case(
            14, f"{stage} stopped for 5 s", partial(sleeps_through_its_lease, stage=stage), short=stage == "audio"
        )
    yield from clocks.cases()
    yield Case(19, "halted", partial(halted, times=1), short=True)
    yield Case(19, "halted twice", partial(halted, times=2))
    for stage in ("script", "media", "audio", "render", "quality"):
        name = f"an old {stage} drains, the next release goes on"
        yield Case(21, name, partial(upgrades.drained, stage=stage), needs=Needs(releases=True))
    yield Case(21, "every process replaced, and back", upgrades.replaced, needs=Needs(releases=True))
    for row in TESTED:
        yield Case(row, "by tests of its own", None)


#: Those that need a ground of their own kind come last, and together: each kind is made once a round.
CASES: Final = tuple(sorted(_cases(), key=lambda case: (case.needs.proxies, case.needs.environ)))
