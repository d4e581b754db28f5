from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from deploy.launch import postgres, privileges
from deploy.launch.ports import free_ports
from deploy.launch.program import running
from schema.errors import ConfigurationError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")


def test_it_brings_the_role_and_the_database_and_keeps_utc(tmp_path: Path) -> None:
    port = free_ports()
    with running(postgres.postgres(tmp_path / "postgres", port), tmp_path / "log"):
        assert _ask(port, "SELECT current_user, current_database()") == "ytempire|ytempire"
        assert _ask(port, "SHOW timezone") == "UTC"
        assert _ask(port, "SHOW server_encoding") == "UTF8"
        owner = "SELECT pg_get_userbyid(datdba), datcollate FROM pg_database WHERE datname = 'ytempire'"
        assert _ask(port, owner) == "ytempire|C.UTF-8"
        assert _ask(port, "SELECT rolsuper FROM pg_roles WHERE rolname = 'ytempire'") == "t"


def test_it_starts_again_at_once_after_a_kill_and_keeps_what_was_committed(tmp_path: Path) -> None:
    port = free_ports()
    program = postgres.postgres(tmp_path / "postgres", port)
    with running(program, tmp_path / "log") as process:
        _ask(port, "CREATE TABLE kept AS SELECT 7 AS id")
        process.kill()
        process.wait()
    began_s = time.monotonic()
    with running(program, tmp_path / "log"):
        assert time.monotonic() - began_s < 5
        assert _ask(port, "SELECT id FROM kept") == "7"


def test_the_number_of_a_killed_server_that_now_belongs_to_another_process_does_not_stop_it(tmp_path: Path) -> None:
    port, folder = free_ports(), tmp_path / "postgres"
    with running(postgres.postgres(folder, port), tmp_path / "log") as process:
        process.kill()
        process.wait()
    with subprocess.Popen(("sleep", "60")) as other:
        pid_file = folder / "postmaster.pid"
        rest = pid_file.read_text().split("\n", 1)[1]
        pid_file.write_text(f"{other.pid}\n{rest}")
        with running(postgres.postgres(folder, port), tmp_path / "log"):
            assert _ask(port, "SELECT 1") == "1"
        other.kill()


def test_a_folder_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("12\n")
    with pytest.raises(
        ConfigurationError, match=f"{folder} was made by Postgres 12; the tools here are Postgres 1"
    ) as got:
        postgres.postgres(folder, free_ports())
    assert "PG_BIN" in got.value.hint


def test_a_half_made_folder_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.part").mkdir()
    (tmp_path / "postgres.part" / "PG_VERSION").write_text("18\n")
    port = free_ports()
    with running(postgres.postgres(tmp_path / "postgres", port), tmp_path / "log"):
        assert _ask(port, "SELECT 1") == "1"
    assert not (tmp_path / "postgres.part").exists()


def test_a_pg_bin_without_postgres_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(ConfigurationError, match=f"PG_BIN is '{tmp_path}', which holds no program `postgres`"):
        postgres.postgres(tmp_path / "postgres", free_ports())


def test_a_server_that_cannot_start_says_why(tmp_path: Path, postgres_port: int) -> None:
    program = postgres.postgres(tmp_path / "postgres", postgres_port)
    program = msgspec.structs.replace(program, answers=_never)  # the session's own server would answer there
    with (
        pytest.raises(ConfigurationError, match=r"postgres ended with code 1: .*could not create any TCP/IP sockets"),
        running(program, tmp_path / "log"),
    ):
        raise AssertionError("it runs")


@as_root
def test_where_namespaces_are_forbidden_root_becomes_nobody_also_below_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden() -> None:
        raise OSError("user namespaces are not allowed here")

    monkeypatch.setattr(privileges, "enter_user_namespace", forbidden)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    port = free_ports()
    with running(postgres.postgres(closed / "postgres", port), closed / "log") as process:
        assert _ask(port, "SELECT 1") == "1"
        assert Path(f"/proc/{process.pid}").stat().st_uid == 65534


@as_root
def test_root_that_can_give_up_its_rights_in_no_way_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden() -> None:
        raise OSError("forbidden")

    monkeypatch.setattr(privileges, "enter_user_namespace", forbidden)
    monkeypatch.setattr(privileges, "become_nobody", forbidden)
    with pytest.raises(ConfigurationError) as got:
        postgres.postgres(tmp_path / "postgres", free_ports())
    assert "it refuses to run as root" in got.value.hint
    assert "DATABASE_URL" in got.value.hint


async def _never() -> bool:
    return False


def _ask(port: int, statement: str) -> str:
    command = (postgres.tools_folder() / "psql", "-XAtq", "-d", postgres.url(port), "-c", statement)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
