from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.launch import plan as plans
from deploy.launch.plan import ROOT, plan
from schema.errors import ConfigurationError
from schema.settings import environment
from schema.settings.servers import Servers


@pytest.fixture
def procfile(tmp_path: Path) -> Path:
    path = tmp_path / "Procfile"
    path.write_text("one: python -m one\ntwo: python -m two\n")
    return path


def test_each_process_is_told_its_servers_its_folder_and_its_own_port(tmp_path: Path, procfile: Path) -> None:
    made = plan(Servers(redis_port=1001, postgres_port=1002, metrics_port=2000), tmp_path / "data", procfile)
    assert [program.name for program in made.servers] == ["valkey", "postgres"]
    assert [program.environ["YTEMPIRE_METRICS_PORT"] for program in made.workers] == ["2000", "2001"]
    told = made.workers[1].environ
    assert re.fullmatch(r"redis://actor:[0-9a-f]{32}@127\.0\.0\.1:1001/0", told["REDIS_URL"])
    assert made.redis_url == "redis://127.0.0.1:1001/0"
    assert told["DATABASE_URL"] == "postgresql://ytempire@127.0.0.1:1002/ytempire"
    assert (told["YTEMPIRE_DATA_DIR"], told["PYTHONPATH"]) == (str(tmp_path / "data"), str(ROOT))
    assert told["ORT_DISABLE_TELEMETRY"] == "1", "nothing here reports to anybody"
    environment.read(told)


def test_servers_that_were_named_need_no_port_and_no_program(tmp_path: Path, procfile: Path) -> None:
    made = plan(Servers(redis_url="redis://r", database_url="postgresql://p", metrics_port=2000), tmp_path, procfile)
    assert made.servers == ()
    assert [needed.port for needed in made.ports] == [2000, 2001]
    assert (made.redis_url, made.database_url) == ("redis://r", "postgresql://p")


def test_a_share_of_the_processes_keeps_the_ports_of_the_whole_list(tmp_path: Path, procfile: Path) -> None:
    elsewhere = Servers(redis_url="redis://r", database_url="postgresql://p", metrics_port=2000, actors="two")
    made = plan(elsewhere, tmp_path, procfile)
    assert [(program.name, program.environ["YTEMPIRE_METRICS_PORT"]) for program in made.workers] == [("two", "2001")]
    assert [needed.port for needed in made.ports] == [2001]
    assert made.workers[0].environ["YTEMPIRE_ACTORS"] == "two"


def test_a_share_that_names_no_process_is_refused_with_those_there_are(tmp_path: Path, procfile: Path) -> None:
    with pytest.raises(ConfigurationError, match="the Procfile has no line 'rendr', 'three'") as got:
        plan(Servers(actors="two,three rendr"), tmp_path, procfile)
    assert got.value.hint == "its lines are one, two"


def test_a_taken_exporter_port_is_named_with_its_process(
    tmp_path: Path, procfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "is_free", lambda port: port != 2001)
    made = plan(Servers(redis_url="redis://r", database_url="postgresql://p", metrics_port=2000), tmp_path, procfile)
    with pytest.raises(ConfigurationError) as got:
        made.refuse_taken_ports()
    assert str(got.value) == ("port 2001, for the exporter of two (YTEMPIRE_METRICS_PORT), is taken by another program")


def test_a_port_that_is_given_back_in_time_is_waited_for(
    tmp_path: Path, procfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([False, False, *[True] * 10])
    monkeypatch.setattr(plans, "is_free", lambda _: next(looks))
    plan(Servers(redis_url="redis://r", database_url="postgresql://p"), tmp_path, procfile).refuse_taken_ports(
        patience_s=10
    )


def test_a_shell_that_took_env_still_starts_its_own_servers_unless_somebody_is_there(
    tmp_path: Path, procfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = Servers(
        redis_port=1001,
        postgres_port=1002,
        redis_url="redis://127.0.0.1:1001/0",
        database_url="postgresql://ytempire@127.0.0.1:1002/ytempire",
    )
    monkeypatch.setattr(plans, "is_free", lambda port: port != 1002)
    assert [program.name for program in plan(exported, tmp_path, procfile).servers] == ["valkey"]
