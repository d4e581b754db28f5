"""How many processes a stage has: as many as the record has work for, between one and its most.

KEDA asks Prometheus for our own count of what is in hand, work that is being done included, so that a busy process is
not counted away. A count that is not fresh is no count: where the vitals guardian has not looked for a minute, or
Prometheus does not answer, what runs stays as it is. Redis is not asked: the lag of a group may be unknown to it.
Which pod goes when there are fewer is not ours to say; it may be a busy one, whose work is then handed back.
"""

from __future__ import annotations

from typing import Final

from deploy.kubernetes.shapes import Shape
from deploy.kubernetes.workloads import LABELS, MADE

PROMETHEUS: Final = "http://prometheus-server.monitoring.svc"
_FRESH_S: Final = 60

_SCALED: Final = """\
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {name}
{labels}spec:
  scaleTargetRef:
    name: {name}
  pollingInterval: 15
  minReplicaCount: 1
  maxReplicaCount: {most}
  # counts only for a minReplicaCount of 0
  cooldownPeriod: 300
  fallback:
    failureThreshold: 3
    replicas: 1
    behavior: currentReplicasIfHigher
  advanced:
    restoreToOriginalReplicaCount: false
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          stabilizationWindowSeconds: 0
        scaleDown:
          # the most that was wanted within so long; then one pod a minute
          stabilizationWindowSeconds: {calm}
          policies:
            - {{type: Pods, value: 1, periodSeconds: 60}}
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {prometheus}
        query: >-
          {query}
        # what one process works on at once
        threshold: "{threads}"
        # nothing is not none
        ignoreNullValues: "false"
"""


def query(stage: str) -> str:
    """What PromQL says is in hand of a stage; nothing where that is not known."""
    looked = 'max(ytempire_guardian_last_tick_timestamp_seconds{guardian="vitals"})'
    return f'max(ytempire_stage_work{{stage="{stage}"}}) and on() (time() - {looked} < {_FRESH_S})'


def scaled(shapes: tuple[Shape, ...]) -> str:
    """The file: one for each stage."""
    return MADE.format(file="scaling") + "".join(
        _SCALED.format(
            name=shape.name,
            labels=LABELS.format(name=shape.name),
            most=shape.most,
            calm=600 if shape.name == "render" else 300,
            prometheus=PROMETHEUS,
            query=query(shape.name),
            threads=shape.threads,
        )
        for shape in shapes
        if shape.threads
    )
