from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from deploy.commands import upgrade
from schema.errors import RefusedError
from schema.record import migrations
from schema.record.migrations import Migration
from schema.release import RELEASE
from tests.integration.streams.workers import Server

ADDS = Migration(9001, "moods", "-- expand: moods\nALTER TABLE video_queue ADD COLUMN mood text;")
DROPS = Migration(9002, "no_topic", "-- contract: topics go\nALTER TABLE video_queue DROP COLUMN topic;")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, valkey_url: str, database_url: str) -> str:
    """What the environment names: an empty bus, and a record as this release wants it."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    return database_url


@contextlib.contextmanager
def at_work(database_url: str, name: str) -> Iterator[None]:
    """Somebody is connected under this name."""
    with asyncio.Runner() as runner:
        settings = {"application_name": f"ytempire {name}"}
        connection = runner.run(asyncpg.connect(database_url, server_settings=settings))
        yield
        runner.run(connection.close())


def _ours(monkeypatch: pytest.MonkeyPatch, *more: Migration) -> None:
    monkeypatch.setattr(upgrade, "migrations", lambda: (*migrations.migrations(), *more))


def _check(capsys: pytest.CaptureFixture[str], env: Path | None = None) -> tuple[int, str]:
    code = upgrade.upgrade(check=True, env=env)
    return code, capsys.readouterr().out


def test_what_only_adds_may_be_started_beside_what_runs_and_what_drops_may_not(
    at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with at_work(at, "render 0.0.9"), at_work(at, f"intake {RELEASE}"), at_work(at, "audio"), at_work(at, "cli 1"):
        _ours(monkeypatch, ADDS)
        code, said = _check(capsys)
        assert code == 0
        assert "to come: 9001 moods (expand: it only adds)" in said
        one_each = ("a release that does not tell", "release 0.0.9", f"release {RELEASE}")
        assert [f"1 of {release} on 127.0.0.1" in said for release in one_each] == [True] * 3
        assert said.endswith(f"release {RELEASE} may be started beside what runs; docs/upgrade.md has the steps\n")
        _ours(monkeypatch, ADDS, DROPS)
        code, said = _check(capsys)
        assert code == 1
        assert "BAD migrations what runs cannot live with 9002 no_topic (contract: ALTER TABLE video_queue DROP" in said
        assert "try: back up, halt, end every process" in said


def test_what_drops_may_be_started_where_nobody_runs_and_nothing_is_applied_by_looking(
    at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _ours(monkeypatch, DROPS)
    with at_work(at, "cli 1"):
        code, said = _check(capsys)
    assert code == 0, said
    assert "none is at work" in said
    assert _check(capsys) == (0, said)


def test_an_older_checkout_may_be_started_on_what_a_newer_one_has_only_added_to(
    at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with asyncio.Runner() as runner:
        newer = runner.run(asyncpg.connect(at))
        runner.run(newer.execute("INSERT INTO schema_migrations VALUES (9001, 'moods', '', now(), 'expand')"))
        code, said = _check(capsys)
        assert (code, "beyond this release, which can live with them: 9001 moods" in said) == (0, True)
        runner.run(newer.execute("INSERT INTO schema_migrations VALUES (9002, 'no_topic', '', now(), 'contract')"))
        code, said = _check(capsys)
        assert (code, "BAD migrations made by a newer release, beyond this one: 9002 no_topic" in said) == (1, True)
        runner.run(newer.close())


@pytest.mark.usefixtures("at")
def test_an_event_of_another_version_that_waits_or_was_just_written_stands_in_the_way(
    redis_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_server.xadd("stream:scripts", {"type": "script.written", "v": "2"})
    redis_server.xadd("stream:scripts", {"type": "script.written", "v": "1"})
    redis_server.xgroup_create("stream:scripts", "media", id="0")
    code, said = _check(capsys)
    assert code == 1
    assert "BAD events     1 of version 2 in stream:scripts; this release speaks version 1" in said
    redis_server.xadd("stream:videos", {"type": "video.completed", "v": "3"})
    assert "1 of version 3 in stream:videos" in _check(capsys)[1]


@pytest.mark.usefixtures("at")
def test_a_stream_that_nobody_has_written_to_yet_stands_in_nobodys_way(
    redis_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_server.xgroup_create("stream:scripts", "media", id="0", mkstream=True)
    code, said = _check(capsys)
    assert (code, "all that wait speak version 1" in said) == (0, True)


@pytest.mark.usefixtures("at")
def test_a_setting_that_this_release_does_not_have_is_told_with_the_one_that_is_near(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "env"
    file.write_text("# theirs\nYTEMPIRE_LEASES_S=9\nYTEMPIRE_LEASE_S=3\nHOME=/\n", encoding="utf-8")
    code, said = _check(capsys, env=file)
    assert code == 1
    assert "this release does not have YTEMPIRE_LEASES_S (near: YTEMPIRE_LEASE_S)" in said
    monkeypatch.setenv("YTEMPIRE_ZEAL", "1")
    upgrade.upgrade(check=True, json=True)
    findings = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [(finding["about"], finding["is_well"]) for finding in findings] == [
        ("migrations", True),
        ("processes", True),
        ("events", True),
        ("settings", False),
    ]


def test_nothing_upgrades_by_itself() -> None:
    with pytest.raises(RefusedError, match="nothing upgrades by itself"):
        upgrade.upgrade()
