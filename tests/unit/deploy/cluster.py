"""The manifests as a cluster would be given them, judged by its own schemas; no cluster, and no network.

What kustomize does is done here for as much of it as we use: resources, JSON patches, a ConfigMap from a file.
"""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from deploy.launch.plan import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
Document = dict[str, Any]


def documents(folder: Path) -> list[Document]:
    """What `kubectl apply -k` would send of a folder, images and names of the ConfigMap apart."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    found: list[Document] = []
    for name in kustomization["resources"]:
        path = (folder / name).resolve()
        found += documents(path) if path.is_dir() else read(path)
    for patch in kustomization.get("patches", ()):
        (target,) = (one for one in found if patch["target"] == {"kind": one["kind"], "name": one["metadata"]["name"]})
        for operation in yaml.safe_load(patch["patch"]):
            _apply(operation, target)
    for made in kustomization.get("configMapGenerator", ()):
        lines = [line for name in made["envs"] for line in (folder / name).read_text("utf-8").splitlines()]
        data = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data})
    return found


def read(path: Path) -> list[Document]:
    """The documents of a file; what is written once and meant twice there is two things here."""
    return [deepcopy(json.loads(json.dumps(one))) for one in yaml.safe_load_all(path.read_text("utf-8")) if one]


def _apply(operation: Document, document: Document) -> None:
    """One step of a JSON patch (RFC 6902)."""
    *way, last = (part.replace("~1", "/") for part in operation["path"].strip("/").split("/"))
    place: Any = document
    for part in way:
        place = place[int(part) if isinstance(place, list) else part]
    if isinstance(place, list):
        assert (operation["op"], last) == ("add", "-")
        place.append(operation["value"])
        return
    assert operation["op"] in {"add", "replace"}
    assert operation["op"] == "add" or last in place, f"nothing to replace at {operation['path']}"
    place[last] = operation["value"]


def faults(document: Document, version: str) -> list[str]:
    """What a cluster of that version would not take, or pass over: a field that it does not know is a fault, too."""
    found = _validator(version, document["apiVersion"], document["kind"]).iter_errors(document)
    return [f"{document['kind']} {document['metadata']['name']}, {error.json_path}: {error.message}" for error in found]


@cache
def _validator(version: str, api_version: str, kind: str) -> Draft202012Validator:
    if api_version == "keda.sh/v1alpha1":
        return Draft202012Validator(SCALED_OBJECT)
    group, _, number = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], number) if part)
    return Draft202012Validator(_schema(version, name), registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    # crawled once: each look into a registry that was not would do it again
    known = Resource.from_contents(_schema(version, "_definitions"))
    registry: Registry[Any] = Registry().with_resource("_definitions.json", known).crawl()
    return registry


def _schema(version: str, name: str) -> Any:  # noqa: ANN401 - a schema is what JSON is
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    return json.loads((folder / f"{name}.json").read_text("utf-8"))


def _object(required: tuple[str, ...], **fields: Document) -> Document:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": fields}


_COUNT: Document = {"type": "integer", "minimum": 0}
_TEXT: Document = {"type": "string", "minLength": 1}
_RULES: Document = _object(
    (),
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    selectPolicy={"enum": ["Min", "Max", "Disabled"]},
    policies={
        "type": "array",
        "items": _object(
            ("type", "value", "periodSeconds"),
            type={"enum": ["Pods", "Percent"]},
            value={"type": "integer", "minimum": 1},
            periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800},
        ),
    },
)
#: A ScaledObject of KEDA 2.17 and newer, by its reference (keda.sh/docs/latest/reference/scaledobject-spec and
#: scalers/prometheus): not KEDA's own schema, which no package brings, but the fields that we may use, and no other.
SCALED_OBJECT: Document = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "keda.sh/v1alpha1"},
    kind={"const": "ScaledObject"},
    metadata=_object(("name",), name=_TEXT, labels={"type": "object", "additionalProperties": _TEXT}),
    spec=_object(
        ("scaleTargetRef", "triggers"),
        scaleTargetRef=_object(("name",), name=_TEXT, kind=_TEXT, apiVersion=_TEXT),
        pollingInterval=_COUNT,
        cooldownPeriod=_COUNT,
        initialCooldownPeriod=_COUNT,
        idleReplicaCount=_COUNT,
        minReplicaCount=_COUNT,
        maxReplicaCount=_COUNT,
        fallback=_object(
            ("failureThreshold", "replicas"),
            failureThreshold=_COUNT,
            replicas=_COUNT,
            behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]},
        ),
        advanced=_object(
            (),
            restoreToOriginalReplicaCount={"type": "boolean"},
            horizontalPodAutoscalerConfig=_object(
                (), name=_TEXT, behavior=_object((), scaleUp=_RULES, scaleDown=_RULES)
            ),
        ),
        triggers={
            "type": "array",
            "minItems": 1,
            "items": _object(
                ("type", "metadata"),
                type={"const": "prometheus"},
                name=_TEXT,
                # a fallback knows no other
                metricType={"const": "AverageValue"},
                useCachedMetrics={"type": "boolean"},
                metadata=_object(
                    ("serverAddress", "query", "threshold", "ignoreNullValues"),
                    serverAddress={"type": "string", "pattern": "^https?://"},
                    query=_TEXT,
                    threshold={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
                    activationThreshold={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
                    ignoreNullValues={"enum": ["true", "false"]},
                    timeout={"type": "string"},
                    unsafeSsl={"enum": ["true", "false"]},
                ),
            ),
        },
    ),
)
