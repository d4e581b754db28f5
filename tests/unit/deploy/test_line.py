from __future__ import annotations

import pytest

from deploy.launch import line, procfile
from deploy.launch.plan import PROCFILE, plan
from schema.errors import ConfigurationError
from schema.settings.servers import Servers


def test_each_line_has_the_port_that_the_launcher_gives_it() -> None:
    environ = {"YTEMPIRE_METRICS_PORT": "9201", "KEPT": "yes"}
    for at, whole in enumerate(procfile.read(PROCFILE)):
        start = line.start_of(whole.name, environ)
        assert (start.port, start.argv) == (9201 + at, whole.argv)
        assert start.environ["YTEMPIRE_METRICS_PORT"] == str(9201 + at)
        assert start.environ["KEPT"] == "yes"


def test_the_launcher_sets_nothing_that_a_single_line_lacks() -> None:
    elsewhere = Servers(redis_url="redis://elsewhere", database_url="postgresql://elsewhere", data_dir="/data")
    of_all = {worker.name: worker for worker in plan(elsewhere, PROCFILE.parent / "data").workers}
    start = line.start_of("render", {})
    by_settings = {"YTEMPIRE_BACKUPS_DIR", "REDIS_URL", "DATABASE_URL", "YTEMPIRE_DATA_DIR", "YTEMPIRE_ARTIFACTS_URL"}
    assert set(of_all["render"].environ) - by_settings == set(start.environ)


def test_a_line_that_this_host_does_not_run_is_refused() -> None:
    environ = {"YTEMPIRE_ACTORS": "render, quality"}
    assert line.start_of("quality", environ).port == line.start_of("quality", {}).port
    with pytest.raises(ConfigurationError, match="this host does not run intake: YTEMPIRE_ACTORS is render, quality"):
        line.start_of("intake", environ)


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no line 'rendr'"):
        line.start_of("rendr", {})
