"""Backups that were proved, and restores that change nothing until they are sure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from deploy.launch.plan import ROOT
from deploy.recovery import backups, dumps
from deploy.recovery.backups import Backup, BackupError, Manifest
from deploy.recovery.restore import Restored, restore
from deploy.recovery.tools import tool
from schema.artifacts import Artifacts
from schema.documents import ArtifactRef
from schema.errors import ConfigurationError
from schema.money.calls import Ask
from schema.money.journal import Journal
from schema.settings.servers import Servers
from tests.fakes.clocks import HandClock
from tests.integration.recovery import planting
from tests.integration.recovery.planting import rows

VIDEOS = "SELECT count(*) FROM video_queue"
BESIDE = "SELECT datname FROM pg_database WHERE starts_with(datname, current_database() || '_')"


@pytest.fixture
def settings(tmp_path: Path) -> Servers:
    return planting.servers(tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def voice(database_url: str, settings: Servers) -> ArtifactRef:
    """Of a video in hand, which every backup here has."""
    return planting.in_hand(database_url, settings)


@pytest.fixture
def backup(database_url: str, settings: Servers, voice: ArtifactRef, said: list[str]) -> Iterator[Backup]:
    assert voice.path
    yield dumps.make(settings, database_url, "hourly", said.append).backup
    for (name,) in rows(database_url, BESIDE):
        rows(database_url, f"DROP DATABASE {name}")


def _restore(settings: Servers, database_url: str, backup: Backup, **more: str) -> Restored:
    return restore(settings, database_url, backup, lambda _: None, **more)


def test_a_restored_record_takes_the_place_of_the_old_one_which_is_kept(
    database_url: str, settings: Servers, backup: Backup
) -> None:
    planting.in_hand(database_url, settings, "later")
    done = _restore(settings, database_url, backup, hold="look first")
    assert rows(database_url, "SELECT id FROM video_queue") == [("live",)]
    assert rows(database_url, "SELECT kind, reason FROM holds") == [("halt", "look first")]
    old = database_url.rpartition("/")[0] + f"/{done.aside}"
    assert rows(old, VIDEOS) == [(2,)]
    assert done.opened_again == ()
    sums = subprocess.run(("sha256sum", "-c", "SHA256SUMS"), cwd=backup.folder, capture_output=True, check=False)
    assert sums.returncode == 0


def test_a_dump_that_is_not_what_was_backed_up_is_refused_and_nothing_is_touched(
    database_url: str, settings: Servers, backup: Backup
) -> None:
    dump = backup.folder / backups.DUMP
    whole = dump.read_bytes()
    for harmed in (whole[: len(whole) // 2], whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], b""):
        dump.write_bytes(harmed)
        with pytest.raises(BackupError, match="is not what was backed up"):
            _restore(settings, database_url, backup)
    dump.write_bytes(whole)
    newer = msgspec.structs.replace(backup.manifest, schema=backup.manifest.schema + 1)
    with pytest.raises(BackupError, match="made by a newer version"):
        _restore(settings, database_url, Backup(backup.folder, newer))
    assert rows(database_url, VIDEOS) == [(1,)]
    assert rows(database_url, BESIDE) == []


def test_a_dump_with_fewer_rows_than_its_manifest_says_does_not_take_the_place(
    database_url: str, settings: Servers, backup: Backup
) -> None:
    manifest = msgspec.structs.replace(backup.manifest, rows={**backup.manifest.rows, "public.video_queue": 7})
    with pytest.raises(BackupError, match=r"public\.video_queue has 1 rows, was backed up with 7"):
        _restore(settings, database_url, Backup(backup.folder, manifest))
    assert rows(database_url, BESIDE) == []


def test_money_that_was_spent_after_the_backup_is_counted_after_the_restore(
    database_url: str, settings: Servers, backup: Backup
) -> None:
    ask = Ask(
        id=uuid4(),
        video="live",
        stage="script",
        attempt=1,
        service="openai",
        model="m",
        price="p",
        units={},
        amount_usd=Decimal("0.50"),
        policy="blind",
    )
    journal = Journal(Path(settings.data_dir) / dumps.JOURNAL)
    journal.sent(ask, second_purchase=False, reserved_at=datetime.now(UTC))
    journal.paid(ask.id, Decimal("0.40"), used={}, request_id="r", result=None, files=())
    done = _restore(settings, database_url, backup)
    assert (done.journal.sent, done.journal.settled) == (1, 1)
    assert rows(database_url, "SELECT spent FROM money.videos WHERE video_id = 'live'") == [(Decimal("0.400000"),)]


def test_a_lost_input_of_unfinished_work_comes_back_or_its_stage_is_done_again(
    database_url: str, settings: Servers, backup: Backup, voice: ArtifactRef
) -> None:
    store = Artifacts(settings.artifacts_address)
    store.remove_below("work")
    assert _restore(settings, database_url, backup).opened_again == ()
    assert store.fault(voice) == ""
    store.remove_below("work")
    backups.stored(settings.backups_folder, voice).unlink()
    assert _restore(settings, database_url, backup).opened_again == ("live audio",)
    stages = "SELECT stage FROM video_stages WHERE status = 'open' ORDER BY stage"
    assert rows(database_url, stages) == [("audio",), ("quality",), ("render",)]


@pytest.mark.slow
def test_a_full_disk_leaves_earlier_backups_and_nothing_half_made(
    database_url: str, settings: Servers, backup: Backup
) -> None:
    program = (
        "import resource, sys; from deploy.recovery import dumps; from tests.integration.recovery import planting;"
        "from pathlib import Path; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "dumps.make(planting.servers(Path(sys.argv[1])), sys.argv[2], 'daily', print)"
    )
    folder = settings.backups_folder.parent
    done = subprocess.run(
        (sys.executable, "-c", program, str(folder), database_url),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "ToolError: pg_dump failed" in done.stderr
    assert [one.folder for one in backups.listed(settings.backups_folder)] == [backup.folder]
    backups.check(backup)
    assert [path.name for path in settings.backups_folder.iterdir() if path.name.startswith(".part")] == []


def test_secrets_are_named_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("YTEMPIRE_GATEWAY_TOKEN", "hush")
    monkeypatch.setenv("REDIS_URL", "redis://:hush@elsewhere:6379/0")
    monkeypatch.setenv("YTEMPIRE_DATABASE_DIRECT_URL", "postgresql://me:hush@elsewhere/db")
    monkeypatch.setenv("YTEMPIRE_ARTIFACTS_URL", "s3://key:hush@bucket")
    monkeypatch.setenv("YTEMPIRE_MAX_CONCURRENT", "5")
    dumps.write_settings(tmp_path / "settings.env")
    text = (tmp_path / "settings.env").read_text()
    assert "YTEMPIRE_MAX_CONCURRENT=5\n" in text
    assert "# OPENAI_API_KEY was set\n" in text
    assert "hush" not in text
    assert "sk-secret" not in text


def test_so_many_are_kept_of_each_class_and_artifacts_that_no_backup_names_go(tmp_path: Path) -> None:
    ref = ArtifactRef("videos/a.mp4", 1, "ab" * 32)
    clock = HandClock()
    for kind, made in (("hourly", 26), ("daily", 9), ("weekly", 4)):
        for number in range(made):
            at = clock.now() + timedelta(hours=number)
            folder = tmp_path / kind / backups.stamp(at)
            folder.mkdir(parents=True)
            (folder / backups.DUMP).write_bytes(b"dump")
            files = (ref,) if (kind, number) == ("hourly", 0) else ()
            backups.write(folder, _manifest(kind, at, folder, files))
    backups.stored(tmp_path, ref).parent.mkdir(parents=True)
    backups.stored(tmp_path, ref).write_bytes(b"film")
    gone = backups.rotate(tmp_path)
    assert [(path.parent.name, path.name) for path in gone] == [
        (kind, backups.stamp(clock.now() + timedelta(hours=number)))
        for kind, number in (("hourly", 0), ("hourly", 1), ("daily", 0), ("daily", 1))
    ]
    assert {kind: len(backups.listed(tmp_path, kind)) for kind in backups.KEPT} == backups.KEPT
    assert not backups.stored(tmp_path, ref).exists()


def test_a_server_that_is_newer_than_every_tool_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="the server is Postgres 99, and no pg_dump here is of that version"):
        tool("pg_dump", 99)


def _manifest(kind: str, at: datetime, folder: Path, files: tuple[ArtifactRef, ...]) -> Manifest:
    piece = backups.piece_of(folder / backups.DUMP, folder)
    return Manifest(
        kind=kind, at=at, took_s=1, server_major=18, tool_major=18, schema=5, rows={}, pieces=(piece,), files=files
    )
