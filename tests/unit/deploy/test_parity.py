"""Every list of processes, ports, settings and URLs that is written down a second time says what its source says."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
import yaml

from deploy.__main__ import app
from deploy.gateway import routes, video_routes
from deploy.gateway.submissions import Submitted
from deploy.gateway.video_routes import VideoStory
from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from schema.record.glance import Biography
from schema.settings import environment
from schema.settings.servers import Servers

DEPLOY = ROOT / "deploy"
SYSTEMD, COMPOSE = DEPLOY / "systemd", DEPLOY / "compose"
NAMES = [line.name for line in procfile.read(PROCFILE)]
#: Services of compose.yaml that are no processes of ours.
SERVERS = {"redis", "postgres"}
MONITORING = {"prometheus", "alertmanager", "grafana"}
COMMANDS = {command.name for command in typer.main.get_command(app).commands.values()}  # type: ignore[attr-defined]
#: Commands that a timer starts.
TIMED = {"backup", "check", "monitor", "wrap"}


def _values(unit: Path, key: str) -> list[str]:
    """What a unit's file says for a key, each time it says it."""
    return re.findall(rf"^{key}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


def _compose(name: str = "compose.yaml") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((COMPOSE / name).read_text("utf-8"))
    return document


def test_systemds_target_has_an_instance_for_each_process_and_no_other() -> None:
    assert _values(SYSTEMD / "ytempire.target", "Wants") == [f"ytempire@{name}.service" for name in NAMES]


def test_drop_ins_are_for_processes_that_exist() -> None:
    dropped = {path.name.removeprefix("ytempire@").removesuffix(".service.d") for path in SYSTEMD.glob("*.service.d")}
    assert dropped == {"render", "gpu"}
    assert dropped <= set(NAMES)


def test_the_target_of_the_chores_has_every_timer_and_each_timer_its_service() -> None:
    timers = sorted(path.name for path in SYSTEMD.glob("*.timer"))
    assert sorted(_values(SYSTEMD / "ytempire-chores.target", "Wants")) == timers
    for name in timers:
        (starts,) = _values(SYSTEMD / name, "Unit") or [name.replace(".timer", ".service")]
        assert (SYSTEMD / re.sub(r"@.*\.service", "@.service", starts)).exists(), name


@pytest.mark.parametrize("timer", sorted(path.name for path in SYSTEMD.glob("*.timer")))
def test_a_timer_starts_a_command_that_there_is(timer: str) -> None:
    (service,) = _values(SYSTEMD / timer, "Unit") or [timer.replace(".timer", ".service")]
    instance = service.partition("@")[2].removesuffix(".service")
    (line,) = _values(SYSTEMD / re.sub(r"@.*\.service", "@.service", service), "ExecStart")
    command = shlex.split(line.replace("%i", instance).partition(" -m deploy ")[2])[0]
    assert command in TIMED & COMMANDS


def test_what_units_and_supervisor_run_is_a_line_of_the_procfile() -> None:
    python = "/opt/ytempire/.venv/bin/python"
    assert _values(SYSTEMD / "ytempire@.service", "ExecStart") == [f"{python} -m deploy.launch.line %i"]
    (image,) = re.findall(r"^ENTRYPOINT (.*)$", (COMPOSE / "Containerfile").read_text(), re.MULTILINE)
    assert json.loads(image) == ["python", "-m", "deploy.launch.line"]


def test_supervisors_groups_have_all_processes() -> None:
    told = configparser.RawConfigParser(inline_comment_prefixes=None)
    told.read(DEPLOY / "supervisor/pipeline.conf")
    workers = told["group:pipeline-workers"]["programs"].split(",")
    programs = {name.removeprefix("program:"): told[name] for name in told.sections() if name.startswith("program:")}
    runs = {
        name: re.findall(r"deploy\.launch\.line (\S+)'$", program["command"])[0] for name, program in programs.items()
    }
    assert workers == [name for name in NAMES if name != "gateway"]
    assert runs == {**{name: name for name in workers}, "pipeline-api": "gateway"}


def test_compose_has_a_service_for_each_process_with_its_own_settings() -> None:
    services = _compose()["services"]
    assert [name for name in services if name not in SERVERS | MONITORING] == NAMES
    known = {variable.name for variable in environment.variables()}
    for name in NAMES:
        service = services[name]
        assert service["command"] == [name]
        assert set(service["environment"]) <= known
        assert service["environment"]["YTEMPIRE_METRICS_HOSTS"] == "{}"
        test = service["healthcheck"]["test"]
        assert "/livez" in test[-1] if name == "gateway" else test[-2:] == [name, "--answers"]
    assert {name for name, service in services.items() if service.get("profiles") == ["monitoring"]} == MONITORING
    assert set(_compose("compose.gpu.yaml")["services"]) == {"render", "gpu"}


def test_a_process_of_compose_is_asked_by_its_name() -> None:
    from deploy.exporters import Exporters  # noqa: PLC0415 - the one test that asks

    servers = msgspec.convert({"metrics_hosts": "{}"}, Servers)
    assert Exporters(servers)._urls["dispatch"] == "http://dispatch:9103/metrics"
    assert Exporters(Servers())._urls["dispatch"] == "http://127.0.0.1:9103/metrics"


def test_a_host_asks_only_what_it_runs_unless_it_knows_where_the_others_are() -> None:
    from deploy.exporters import Exporters  # noqa: PLC0415 - likewise

    asked = Exporters(Servers(actors="dispatch vitals"))
    ports = {name: 9101 + NAMES.index(name) for name in ("dispatch", "vitals")}
    assert asked._urls == {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()}
    assert asked._guardians == ("vitals",)
    assert list(Exporters(Servers(actors="dispatch", metrics_hosts="{}"))._urls) == NAMES


def test_composes_prometheus_asks_each_process_at_its_port() -> None:
    (job,) = _compose("prometheus.yml")["scrape_configs"]
    asked = [(target["targets"], target["labels"]) for target in job["static_configs"]]
    first = Servers().metrics_port
    assert asked == [([f"{name}:{port}"], {"process": name}) for port, name in enumerate(NAMES, start=first)]


def test_every_file_that_compose_mounts_is_there_or_comes_with_the_monitoring() -> None:
    services = _compose()["services"]
    mounted = [str(volume).split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    files = {path for path in mounted if path.startswith(".")}
    assert len(files) > 5
    missing = {path for path in files if not (COMPOSE / path).exists()}
    assert all(path.startswith("../monitoring/") for path in missing)


def test_the_image_holds_every_package_of_the_factory() -> None:
    text = (COMPOSE / "Containerfile").read_text()
    ignored = (COMPOSE / "Containerfile.dockerignore").read_text()
    for part in ("schema", "streams", "actors", "guardians", "deploy", "Procfile", "pyproject.toml", "uv.lock"):
        assert re.search(rf"^COPY .*\b{re.escape(part)}\b", text, re.MULTILINE), part
        assert f"!{part}\n" in ignored


def test_the_example_of_the_settings_serves_as_an_environment_file() -> None:
    """As systemd and compose read it: no shell, no quotes taken off, an empty value as none."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert environment.read(pairs) == environment.Settings()


# ---- n8n


WORKFLOW = json.loads((DEPLOY / "n8n/workflow.json").read_text("utf-8"))
NODES = {node["name"]: node for node in WORKFLOW["nodes"]}


def test_the_workflow_asks_only_what_the_gateway_has() -> None:
    there = {
        (method, re.sub(r"\{[^}]*\}", "*", path))
        for handler in (*routes.HANDLERS, *video_routes.HANDLERS)
        for path in handler.paths
        for method in getattr(handler, "http_methods", ())
    }
    asked = {
        (node["parameters"]["method"], re.sub(r"\{\{.*?\}\}", "*", node["parameters"]["url"].partition("}}")[2]))
        for node in NODES.values()
        if node["type"] == "n8n-nodes-base.httpRequest"
    }
    assert asked == {("POST", "/videos"), ("GET", "/videos/*")}
    assert asked <= there


def test_the_workflow_reads_only_what_the_gateway_answers() -> None:
    text = json.dumps(WORKFLOW)
    assert set(re.findall(r"\$json\.video\.(\w+)", text)) <= {field.name for field in msgspec.structs.fields(Biography)}
    assert {"video", "files"} <= {field.name for field in msgspec.structs.fields(VideoStory)}
    assert "video" in {field.name for field in msgspec.structs.fields(Submitted)}
    headers = {header["name"] for header in NODES["Submit"]["parameters"]["headerParameters"]["parameters"]}
    assert "Idempotency-Key" in headers


def test_the_workflow_waits_for_every_end_and_leads_nowhere_else() -> None:
    (asked,) = NODES["Ended?"]["parameters"]["conditions"]["conditions"]
    assert set(re.findall(r"'(\w+)'", asked["leftValue"])) == {"completed", "failed", "cancelled"}
    led = {(name, to["node"]) for name, out in WORKFLOW["connections"].items() for way in out["main"] for to in way}
    assert {name for pair in led for name in pair} == set(NODES)
    assert {("Submit", "Refused"), ("Look", "Wait"), ("Ended?", "Wait"), ("Ended?", "Answer")} <= led
