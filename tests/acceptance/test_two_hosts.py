"""Two hosts on one Redis and one Postgres, each with its share of the Procfile; some processes run on both."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from typer.testing import CliRunner

from deploy.__main__ import app
from schema import flow
from schema.errors import ConfigurationError
from tests.factory.running import STUBS, Factory, factory

PROCFILE = STUBS.with_name("Procfile.drill")
FIRST = ("intake", "control", "dispatch", "script", "quality", "integrity", "stuck", "cost", "vitals", "gateway")
#: The second half of these runs on the first host, too.
SECOND = ("media", "audio", "render", "gpu", "control", "dispatch", "integrity", "stuck", "cost", "vitals")
_HOST_OF = {"script": FIRST, "quality": FIRST, "media": SECOND, "audio": SECOND, "render": SECOND}


@pytest.mark.slow
def test_videos_pass_through_two_hosts_that_each_run_a_share(tmp_path: Path) -> None:
    with factory(tmp_path / "first", procfile=PROCFILE, environ={"YTEMPIRE_ACTORS": ",".join(FIRST)}) as first:
        shared = {
            "REDIS_URL": first.redis_url,
            "DATABASE_URL": first.database_url,
            "YTEMPIRE_ARTIFACTS_URL": str(first.folder),
        }
        second = Factory(tmp_path / "second", procfile=PROCFILE, environ=shared)
        try:
            second.start("up", "--only", " ".join(SECOND))
            entries = [first.submit(topic=f"Topic {number}", notes="Rivers carry water. " * 12) for number in range(9)]
            videos = {first.receipt(entry)["video"] for entry in entries}
            assert first.command(type="pause")["gate"] == "paused"
            assert first.command(type="resume")["gate"] == "open"
            first.until(lambda: first.statuses() == {"completed": len(videos)})
            hosts = {FIRST: first, SECOND: second}
            for stage in flow.STAGES:
                worker = f"%-{stage.name}-{hosts[_HOST_OF[stage.name]].pid_of(stage.name)}-%"
                sql = "SELECT count(*), count(*) FILTER (WHERE worker LIKE $2) FROM stage_attempts WHERE stage = $1"
                assert first.rows(sql, stage.name, worker) == [(len(videos), len(videos))], stage.name
            assert first.rows("SELECT verb, count(*) FROM control_log GROUP BY 1 ORDER BY 1") == [
                ("pause", 1),
                ("resume", 1),
            ]
            assert _processes(first) == dict.fromkeys(FIRST, True)
        finally:
            if second.process is not None and second.process.poll() is None:
                second.stop()
            second.close()


def _processes(host: Factory) -> dict[str, bool]:
    """Who answers, as the gateway of this host tells."""
    with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{host.gateway_port}/health/detailed") as answer:
        said: dict[str, bool] = json.load(answer)["processes"]
    return said


def test_a_name_that_is_no_line_is_refused_with_the_list_before_anything_is_started(tmp_path: Path) -> None:
    asked = ["up", "--only", "rendr", "--data", str(tmp_path / "data")]
    with pytest.raises(ConfigurationError, match=r"no line 'rendr' \(YTEMPIRE_ACTORS, or --only\)") as got:
        CliRunner().invoke(app, asked, catch_exceptions=False)
    assert got.value.hint.startswith("its lines are intake, control, dispatch, script, media, audio, render, quality")
    assert not (tmp_path / "data" / "valkey").exists()
