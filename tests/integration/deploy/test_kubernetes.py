"""What kubectl makes of the manifests, and Prometheus of KEDA's question, where this machine has them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes.scaling import query
from tests.integration.deploy.tool import says
from tests.unit.deploy.cluster import KUBERNETES, documents


def _named(found: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """Each document by kind and name, without what only kustomize adds: the namespace, and the ConfigMap's ending."""
    text = json.dumps(found)
    (made,) = (one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap")
    named = {}
    for one in json.loads(text.replace(made, "ytempire-settings")):
        one["metadata"].pop("namespace", None)
        named[one["kind"], one["metadata"]["name"]] = one
    return named


def _has_kustomize() -> bool:
    """Whether there is a kubectl that tells which kustomize it has: older ones have one of 2019."""
    if shutil.which("kubectl") is None:
        return False
    told = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
    return "kustomizeVersion" in told.stdout


def test_kubectl_makes_of_the_manifests_what_the_other_tests_judge() -> None:
    """The overlay for cards is upon the one for KEDA, which is upon the base."""
    if not _has_kustomize():
        pytest.skip("needs kubectl 1.24 or newer, whose kustomize knows these fields; Debian 12 has 1.20")
    done = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / "overlays/gpu"], capture_output=True, text=True, timeout=60, check=True
    )
    sent = _named(list(yaml.safe_load_all(done.stdout)))
    for image in ("ytempire-pipeline", "ytempire-pipeline-gpu"):
        sent = json.loads(json.dumps(list(sent.values())).replace(f'"{image}:0.1.0"', f'"{image}"'))
        sent = _named(sent)
    assert sent == _named(documents(KUBERNETES / "overlays/gpu"))


def test_keda_is_told_a_number_while_vitals_looks_and_nothing_once_it_does_not(tmp_path: Path) -> None:
    looked = 'ytempire_guardian_last_tick_timestamp_seconds{guardian="vitals"}'
    case = {
        "interval": "15s",
        "input_series": [
            {"series": 'ytempire_stage_work{stage="render"}', "values": "3x20"},
            {"series": 'ytempire_stage_work{stage="script"}', "values": "9x20"},
            # it looks for a minute, and then hangs
            {"series": looked, "values": "0 15 30 45 60 60x15"},
        ],
        "promql_expr_test": [
            {"expr": query("render"), "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 3}]},
            {"expr": query("render"), "eval_time": "1m45s", "exp_samples": [{"labels": "{}", "value": 3}]},
            {"expr": query("render"), "eval_time": "2m15s"},
            # of a stage that nobody told of, nothing is known, either
            {"expr": query("audio"), "eval_time": "1m"},
        ],
    }
    file = tmp_path / "keda.yml"
    file.write_text(json.dumps({"evaluation_interval": "15s", "tests": [case]}), encoding="utf-8")
    assert "SUCCESS" in says("promtool", "test", "rules", file)
