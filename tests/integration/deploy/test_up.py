from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.launch import postgres
from tests.integration.deploy.standing import Up, alive

pytestmark = pytest.mark.slow  # whole factories with real servers, one after the other
Start = Callable[..., Up]


def test_it_says_ready_when_all_answer_and_nothing_is_left_after_term(up: Start) -> None:
    factory = up("steady1", "steady2")
    factory.until_ready()
    names = {process.name() for process in factory.below()}
    assert {"valkey-server", "postgres"} <= names
    below = factory.below()

    assert factory.stop(signal.SIGTERM) == 0

    assert not alive(below)
    assert not (factory.folder / "postgres" / "postmaster.pid").exists(), "Postgres was stopped cleanly"
    assert (factory.folder / "factory.json").read_bytes() == b""


def test_output_of_each_process_is_named_on_the_screen_and_in_the_log(up: Start) -> None:
    factory = up("steady")
    factory.until_ready()
    factory.stop()
    assert "steady    | steady begins\n" in factory.said
    assert "steady    | steady begins\n" in (factory.folder / "logs" / "pipeline.log").read_text(encoding="utf-8")


def test_whatever_dies_is_started_again(up: Start) -> None:
    factory = up("steady")
    factory.until_ready()
    with_row = "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)"
    _psql(factory.postgres_port, with_row)
    for word, name in (("steady", "steady"), ("valkey-server", "valkey"), ("postgres", "postgres")):
        factory.one(word).kill()
        assert "was ended by signal 9; starting again in 0.2 s" in factory.until_says(f"{name:<9} | was ended")
    factory.until_says("database system is ready to accept connections")
    assert _psql(factory.postgres_port, "SELECT id FROM kept") == "7"
    assert factory.stop() == 0


def test_children_die_with_a_killed_launcher_and_the_next_one_starts_at_once(up: Start) -> None:
    first = up("steady")
    first.until_ready()
    below = first.below()
    first.process.kill()
    again = subprocess.Popen(
        first.process.args, env=first.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert again.stdout is not None
        assert any(line == "ready\n" for line in again.stdout)
        assert not alive(below)
    finally:
        again.terminate()
        again.communicate()


def test_a_grandchild_goes_with_its_process(up: Start) -> None:
    factory = up("parent")
    factory.until_ready()
    below = factory.below()
    factory.stop()
    assert not alive(below)


def test_a_second_signal_kills_at_once(up: Start) -> None:
    factory = up("stubborn")
    factory.until_ready()
    factory.process.send_signal(signal.SIGINT)
    factory.until_says("ending")
    assert factory.stop(signal.SIGINT) == 0
    assert "did not end" not in "".join(factory.said)


def test_a_process_that_only_dies_ends_the_start_with_its_last_words(up: Start) -> None:
    factory = up("crashing")
    line = factory.until_says("ytempire: ")
    assert line == "ytempire: crashing does not start, it ended 5 times: no settings for me\n"
    assert factory.process.wait(20) == 2


def test_a_taken_port_is_named_before_anything_starts(up: Start, valkey_port: int) -> None:
    factory = up("steady", YTEMPIRE_REDIS_PORT=str(valkey_port))
    said = factory.until_says(f"port {valkey_port}, for our Valkey (YTEMPIRE_REDIS_PORT), is taken by another program")
    assert said.startswith("ytempire: ")
    assert f"REDIS_URL=redis://127.0.0.1:{valkey_port}/0" in factory.until_says("try: ")
    assert factory.process.wait(20) == 2
    assert not (factory.folder / "postgres").exists()


def test_servers_whose_url_is_set_are_not_started(up: Start, valkey_url: str, empty_database_url: str) -> None:
    factory = up("steady", REDIS_URL=valkey_url, DATABASE_URL=empty_database_url)
    factory.until_ready()
    assert len(factory.below()) == 1
    shown = factory.run("env").stdout
    assert f"export REDIS_URL={valkey_url}\n" in shown
    assert factory.stop() == 0


def test_one_data_directory_is_one_factory(up: Start) -> None:
    factory = up("steady")
    factory.until_ready()
    second = factory.run("up")
    assert second.returncode == 2
    assert f"already runs (process {factory.process.pid}) on the data directory {factory.folder}" in second.stderr


def test_a_data_directory_that_cannot_be_written_is_one_clear_line(up: Start, tmp_path: Path) -> None:
    factory = up("steady")
    factory.until_ready()
    factory.stop()
    blocked = tmp_path / "a file"
    blocked.touch()
    factory.folder = blocked
    said = factory.run("up")
    assert said.returncode == 2
    assert f"the data directory {blocked} cannot be written" in said.stderr
    assert "Traceback" not in said.stderr


def test_psql_and_redis_cli_work_as_typed_after_env(up: Start, tmp_path: Path) -> None:
    factory = up("steady")
    factory.until_ready()
    script = tmp_path / "operator.sh"
    script.write_text(
        f'eval "$({" ".join(map(_quoted, (sys.executable, "-m", "deploy", "env", "--data", factory.folder)))})"\n'
        "psql -Atc 'SELECT current_user, current_database()'\nredis-cli PING\n"
        "redis-cli SET 'a key' '*'\nredis-cli GET 'a key'\n",
        encoding="utf-8",
    )
    shown = subprocess.run(("sh", "-eu", script), env=factory.environ, capture_output=True, text=True, check=False)
    assert shown.stdout.splitlines() == ["ytempire|ytempire", "PONG", "OK", "*"], shown.stderr


def test_commands_say_where_to_begin_when_no_factory_runs(up: Start) -> None:
    factory = up("steady")
    factory.until_ready()
    factory.stop()
    said = factory.run("env")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith(f"ytempire: no factory runs on the data directory {factory.folder}\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_postgres_of_root_leaves_files_that_are_roots(up: Start) -> None:
    factory = up("steady")
    factory.until_ready()
    assert (factory.folder / "postgres").stat().st_uid == 0


def _psql(port: int, statement: str) -> str:
    command = (postgres.tools_folder() / "psql", "-XAtq", "-d", postgres.url(port), "-c", statement)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def _quoted(word: object) -> str:
    return f"'{word}'"
