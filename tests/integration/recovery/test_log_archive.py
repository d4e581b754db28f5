"""The archive of the write-ahead log: what goes into it, and what it lets go of."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.launch import postgres
from deploy.recovery import backups, point_in_time
from deploy.recovery.backups import BackupError, Manifest

NOW = datetime.now(UTC)


def _base(root: Path, at: datetime, system: str) -> None:
    folder = root / "base" / backups.stamp(at)
    folder.mkdir(parents=True)
    (folder / backups.BASE).write_bytes(b"base")
    piece = backups.piece_of(folder / backups.BASE, folder)
    manifest = Manifest(
        kind="base",
        at=at,
        took_s=60,
        server_major=18,
        tool_major=18,
        schema=5,
        rows={},
        pieces=(piece,),
        versions={"system": system},
    )
    backups.write(folder, manifest)


def _piece(root: Path, system: str, name: str, at: datetime) -> None:
    path = root / "wal" / system / f"{name}.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (at.timestamp(),) * 2)


def test_log_goes_when_no_base_backup_needs_it_and_histories_stay(tmp_path: Path) -> None:
    days = [NOW - timedelta(days=number) for number in range(5)]
    _base(tmp_path, days[2], "ours")
    for number, at in enumerate(days):
        _piece(tmp_path, "ours", f"{number}", at)
        _piece(tmp_path, "anothers", f"{number}", at)
    _piece(tmp_path, "ours", "00000002.history", days[4])
    point_in_time.let_go(tmp_path)
    assert sorted(path.name for path in (tmp_path / "wal/ours").iterdir()) == [
        "0.gz",
        "00000002.history.gz",
        "1.gz",
        "2.gz",
    ]
    assert sorted(path.name for path in (tmp_path / "wal/anothers").iterdir()) == ["0.gz"]


def test_a_moment_before_every_base_backup_is_refused_and_the_record_stays(tmp_path: Path) -> None:
    _base(tmp_path, NOW, "ours")
    (tmp_path / "data/postgres").mkdir(parents=True)
    with pytest.raises(BackupError, match=r"no base backup in .* is from before that moment: the oldest is of"):
        point_in_time.replay(
            tmp_path, tmp_path / "data", tmp_path / "wal", lambda _: None, to=NOW - timedelta(minutes=1)
        )
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["postgres"]


def test_a_piece_is_archived_whole_once_and_another_one_never_takes_its_place(tmp_path: Path) -> None:
    archive, script, piece = tmp_path / "the archive", tmp_path / "archive.sh", tmp_path / "piece"
    script.write_text(postgres.archiver(archive), encoding="utf-8")

    def hand_over() -> int:
        return subprocess.run(("sh", script, piece, "0001"), check=False, capture_output=True, timeout=30).returncode

    piece.write_bytes(b"log" * 1000)
    assert hand_over() == 0
    assert hand_over() == 0  # Postgres may ask again for what it forgot
    piece.write_bytes(b"other" * 1000)
    assert hand_over() != 0
    unpacked = subprocess.run(("gunzip", "-c", archive / "0001.gz"), check=True, capture_output=True).stdout
    assert unpacked == b"log" * 1000
    assert [path.name for path in archive.iterdir()] == ["0001.gz"]
