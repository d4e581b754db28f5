from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from actors.__main__ import THREADS
from deploy.kubernetes.__main__ import made
from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from schema import flow
from schema.settings import environment
from schema.settings.masking import SECRETS
from schema.settings.servers import Servers
from schema.telemetry.metrics import REGISTRY
from streams import worker
from tests.integration.deploy.monitored import exported, metrics_of
from tests.unit.deploy.cluster import KUBERNETES, Document, documents, faults, read

#: The oldest that knows each field, and the newest whose schemas we have.
VERSIONS = ("1.30", "1.37")
NAMES = [line.name for line in procfile.read(PROCFILE)]
BASE, KEDA, GPU = (documents(KUBERNETES / name) for name in ("base", "overlays/keda", "overlays/gpu"))
INGRESS = read(KUBERNETES / "components/ingress/ingress.yaml")
DEPLOYED = {one["metadata"]["name"]: one for one in BASE if one["kind"] == "Deployment"}
SCALED = {one["metadata"]["name"]: one["spec"] for one in KEDA if one["kind"] == "ScaledObject"}
(SETTINGS,) = (one["data"] for one in BASE if one["kind"] == "ConfigMap")
VARIABLES = {variable.name: variable for variable in environment.variables()}


def _one(found: list[Document], kind: str, name: str) -> Document:
    (one,) = (one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return one


def _pod(deployment: Document) -> tuple[Document, Document]:
    pod: Document = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def _ports(policy: str) -> list[Document]:
    (rule,) = _one(BASE, "NetworkPolicy", policy)["spec"]["ingress"]
    ports: list[Document] = rule["ports"]
    return ports


@pytest.mark.parametrize(("path", "text"), list(made()), ids=lambda made: made.name if isinstance(made, Path) else "")
def test_a_manifest_that_is_made_is_what_the_code_makes_of_it(path: Path, text: str) -> None:
    assert path.read_text("utf-8") == text, "run `python -m deploy.kubernetes` and commit what it writes"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cluster_would_take_every_manifest_as_it_is(version: str) -> None:
    given = [*KEDA, *(one for one in GPU if one not in KEDA), *INGRESS]
    assert len(given) > 50
    assert [fault for one in given for fault in faults(one, version)] == []


def test_a_field_that_a_cluster_does_not_know_is_found() -> None:
    for kind, name, wrong in (
        ("Deployment", "render", {"replica": 1}),
        ("ScaledObject", "render", {"minReplicas": 1}),
        ("PodDisruptionBudget", "render", {"maxUnavailable": []}),
    ):
        document = _one(KEDA, kind, name)
        assert faults({**document, "spec": {**document["spec"], **wrong}}, VERSIONS[-1]) != []


def test_every_line_of_the_procfile_is_a_deployment_and_a_name_and_nothing_else_is() -> None:
    assert list(DEPLOYED) == NAMES
    assert [one["metadata"]["name"] for one in BASE if one["kind"] == "Service"] == NAMES
    assert all(_pod(one)[1]["args"] == [name] for name, one in DEPLOYED.items())
    for name in NAMES:
        labels = DEPLOYED[name]["spec"]["template"]["metadata"]["labels"]
        assert _one(BASE, "Service", name)["spec"]["selector"].items() <= labels.items()
        assert labels["app.kubernetes.io/component"] == name


def test_what_must_not_run_twice_is_ended_before_it_is_replaced() -> None:
    ones = {name for name, one in DEPLOYED.items() if one["spec"]["strategy"].get("type") == "Recreate"}
    assert ones == {line.name for line in procfile.read(PROCFILE) if "guardians" in line.argv} | {
        "control",
        "dispatch",
        "chores",
    }
    assert {DEPLOYED[name]["spec"]["replicas"] for name in ones} == {1}
    shared = {one["metadata"]["name"] for one in BASE if one["kind"] == "PodDisruptionBudget"}
    assert shared == set(NAMES) - ones
    # else applying the manifests again would undo what KEDA did
    assert all("replicas" not in DEPLOYED[name]["spec"] for name in SCALED)


def test_each_exporter_is_asked_at_its_port() -> None:
    for port, name in enumerate(NAMES, start=Servers().metrics_port):
        assert {"name": "metrics", "containerPort": port} in _pod(DEPLOYED[name])[1]["ports"]
        named = {one["name"]: one["port"] for one in _one(BASE, "Service", name)["spec"]["ports"]}
        assert named["metrics"] == port
    assert _ports("exporters") == [
        {"protocol": "TCP", "port": Servers().metrics_port, "endPort": Servers().metrics_port + len(NAMES) - 1}
    ]
    assert SETTINGS["YTEMPIRE_METRICS_PORT"] == str(Servers().metrics_port)
    assert SETTINGS["YTEMPIRE_METRICS_HOSTS"] == "{}"


def test_the_gateway_is_reached_at_its_port() -> None:
    port = int(SETTINGS["YTEMPIRE_GATEWAY_PORT"])
    assert {"name": "http", "containerPort": port} in _pod(DEPLOYED["gateway"])[1]["ports"]
    assert {"name": "http", "port": port, "targetPort": "http"} in _one(BASE, "Service", "gateway")["spec"]["ports"]
    assert [one["port"] for one in _ports("gateway")] == [port]
    (rule,) = INGRESS[0]["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "gateway", "port": {"name": "http"}}


def test_every_variable_is_a_setting_and_no_secret_is_in_a_file() -> None:
    environment.read(SETTINGS)
    kept = {name for name, variable in VARIABLES.items() if variable.field in SECRETS} | {"REDIS_URL", "DATABASE_URL"}
    assert not kept & set(SETTINGS)
    for name, deployment in {**DEPLOYED, "card": _one(GPU, "Deployment", "render")}.items():
        for one in _pod(deployment)[1]["env"]:
            if one["name"] == "NVIDIA_DRIVER_CAPABILITIES":
                assert name == "card"
                continue
            assert one["name"] in VARIABLES
            assert one["valueFrom"]["secretKeyRef"]["key"] == one["name"]
            assert one["valueFrom"]["secretKeyRef"]["name"] == "ytempire-secrets"
    assert "Secret" not in {one["kind"] for one in [*GPU, *INGRESS]}


def test_who_calls_providers_may_and_has_their_keys_and_nobody_else() -> None:
    policy = _one(BASE, "NetworkPolicy", "internet")["spec"]
    (chosen,) = policy["podSelector"]["matchExpressions"]
    keys = {VARIABLES[name].name for name in VARIABLES if name.endswith("_API_KEY")} | {"YTEMPIRE_ALERTS_TO"}
    given = {name: {one["name"] for one in _pod(DEPLOYED[name])[1]["env"]} & keys for name in NAMES}
    assert {name for name, found in given.items() if found} == set(chosen["values"])
    assert set().union(*given.values()) == keys
    (block,) = policy["egress"][0]["to"]
    assert "169.254.0.0/16" in block["ipBlock"]["except"], "the address that gives a node's own keys away"


def test_no_service_of_the_cluster_becomes_a_variable_of_ours() -> None:
    """A service `ytempire-gateway` would set YTEMPIRE_GATEWAY_PORT=tcp://..., and no process would start."""
    assert all(_pod(one)[0]["enableServiceLinks"] is False for one in DEPLOYED.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_may_nothing_that_it_does_not_need(name: str) -> None:
    pod, container = _pod(DEPLOYED[name])
    assert pod["serviceAccountName"] == "ytempire"
    assert pod["automountServiceAccountToken"] is False
    (user,) = re.findall(r"^USER (\d+)$", (ROOT / "deploy/compose/Containerfile").read_text("utf-8"), re.MULTILINE)
    assert (pod["securityContext"]["runAsNonRoot"], str(pod["securityContext"]["runAsUser"])) == (True, user)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not any("hostPath" in volume for volume in pod["volumes"])
    assert container["resources"]["limits"].keys() == {"memory"}
    assert container["resources"]["requests"].keys() == {"memory", "cpu"}


def test_a_pod_has_the_time_that_handing_back_takes_in_every_deployment() -> None:
    compose: Any = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text("utf-8"))
    (unit,) = re.findall(
        r"^TimeoutStopSec=(\d+)$", (ROOT / "deploy/systemd/ytempire@.service").read_text("utf-8"), re.MULTILINE
    )
    times = {_pod(one)[0]["terminationGracePeriodSeconds"] for one in DEPLOYED.values()}
    assert {f"{time}s" for time in times} == {compose["services"]["render"]["stop_grace_period"]} == {f"{unit}s"}
    (lingers,) = (_pod(one)[1]["lifecycle"]["preStop"]["sleep"] for one in DEPLOYED.values() if "lifecycle" in str(one))
    assert min(times) > worker._DRAIN_MS / 1000 + lingers["seconds"]


def test_what_is_kept_is_seen_by_all_and_scratch_by_its_own_pod_alone() -> None:
    """Two pods have the same process ids: in one folder each would take, and remove, the other's scratch."""
    assert _one(BASE, "PersistentVolumeClaim", "ytempire-data")["spec"]["accessModes"] == ["ReadWriteMany"]
    for deployment in DEPLOYED.values():
        pod, container = _pod(deployment)
        mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        kinds = {one["name"]: set(one) - {"name"} for one in pod["volumes"]}
        assert kinds[mounted[SETTINGS["YTEMPIRE_DATA_DIR"]]] == {"persistentVolumeClaim"}
        assert kinds[mounted[f"{SETTINGS['YTEMPIRE_DATA_DIR']}/scratch"]] == {"emptyDir"}
        assert kinds[mounted["/tmp"]] == {"emptyDir"}  # noqa: S108 - the pod's, not ours


# ---- scaling


def test_each_stage_is_scaled_by_its_own_work_in_units_of_what_a_process_does_at_once() -> None:
    assert list(SCALED) == [stage.name for stage in flow.STAGES]
    known = exported(generate_latest(REGISTRY).decode())
    for name, spec in SCALED.items():
        assert spec["scaleTargetRef"] == {"name": name}
        (trigger,) = spec["triggers"]
        query = trigger["metadata"]["query"]
        assert f'ytempire_stage_work{{stage="{name}"}}' in query
        assert metrics_of(query) == {"ytempire_stage_work", "ytempire_guardian_last_tick_timestamp_seconds"}
        assert metrics_of(query) <= known
        assert trigger["metadata"]["threshold"] == str(THREADS[name])
        assert trigger["metadata"]["ignoreNullValues"] == "false"
        assert 1 == spec["minReplicaCount"] == spec["fallback"]["replicas"] < spec["maxReplicaCount"]


def test_no_stage_grows_beyond_what_the_videos_in_hand_could_give_work() -> None:
    most = int(SETTINGS["YTEMPIRE_MAX_CONCURRENT"])
    assert {
        name: spec["maxReplicaCount"] for name, spec in SCALED.items() if spec["maxReplicaCount"] * THREADS[name] > most
    } == {}


def test_there_are_never_more_renders_than_cards() -> None:
    render = _one(GPU, "Deployment", "render")
    _, container = _pod(render)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"] == "ytempire-pipeline-gpu"
    cards = _one(GPU, "ResourceQuota", "cards")["spec"]["hard"]["requests.nvidia.com/gpu"]
    assert str(_one(GPU, "ScaledObject", "render")["spec"]["maxReplicaCount"]) == cards
    # a new one that waited for the card of the old one would wait for ever
    assert render["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_images_are_named_in_one_place() -> None:
    given = {"base": {"ytempire-pipeline"}, "overlays/gpu": {"ytempire-pipeline-gpu"}}
    for folder, images in given.items():
        kustomization: Any = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text("utf-8"))
        assert {image["name"] for image in kustomization["images"]} == images
    used = {_pod(one)[1]["image"] for one in GPU if one["kind"] == "Deployment"}
    assert used == set().union(*given.values())


def test_prometheus_gives_a_pod_the_labels_that_the_rules_know() -> None:
    (job,) = yaml.safe_load((KUBERNETES / "scraping.yml").read_text("utf-8"))["scrape_configs"]
    (ours,) = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert job["job_name"] == ours["job_name"]
    labels = {one.get("target_label"): one["source_labels"] for one in job["relabel_configs"]}
    assert labels["process"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]
    assert ours["static_configs"][0]["labels"].keys() <= labels.keys()
    (discovery,) = job["kubernetes_sd_configs"]
    assert discovery["namespaces"]["names"] == [_one(BASE, "Namespace", "ytempire")["metadata"]["name"]]
