"""A process as a Deployment, the name by which its exporter is asked, and how many of it may be taken away at once.

All write to one volume that every node sees, and to two folders that are each pod's own, and go with it: /tmp, and the
scratch folder, which nobody else has to see. Nothing is a variable for a server's address: a
cluster's own names for services begin like our settings, and one that we do not know stops a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deploy.kubernetes.shapes import Shape

MADE: Final = "# Made by `python -m deploy.kubernetes` from deploy/kubernetes/{file}.py: change that, not this.\n"
#: TERM to KILL. Work is handed back within seconds; the same in compose.yaml and in the units.
GRACE_S: Final = 30
#: Before TERM, for the gateway: as long as proxies may still send it requests.
_LINGER_S: Final = 5
#: A process that waits for its servers is not dead; one that waits an hour is started again.
_START_TRIES: Final = 360

#: Of everything that is made for a process.
LABELS: Final = """\
  labels:
    app.kubernetes.io/name: ytempire
    app.kubernetes.io/component: {name}
    app.kubernetes.io/part-of: ytempire
"""

_DEPLOYMENT: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: &labels
    app.kubernetes.io/name: ytempire
    app.kubernetes.io/component: {name}
    app.kubernetes.io/part-of: ytempire
spec:
{count}  selector:
    matchLabels: *labels
  template:
    metadata:
      labels: *labels
      annotations:
        kubectl.kubernetes.io/default-container: {name}
    spec:
      serviceAccountName: ytempire
      automountServiceAccountToken: false
      # else each service is put into the environment, as YTEMPIRE_..._PORT among others
      enableServiceLinks: false
      terminationGracePeriodSeconds: {grace}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: {name}
          image: ytempire-pipeline
          args: [{name}]
          envFrom:
            - configMapRef: {{name: ytempire-settings}}
          env:
{env}
          ports:
{ports}
{probes}
          resources:
            requests: {{cpu: "{cpu}", memory: {memory}}}
            limits: {{memory: {memory_limit}}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
{lifecycle}          volumeMounts:
            - {{name: data, mountPath: /data}}
            - {{name: scratch, mountPath: /data/scratch}}
            - {{name: tmp, mountPath: /tmp}}
      volumes:
        - name: data
          persistentVolumeClaim: {{claimName: ytempire-data}}
        - name: scratch
          emptyDir: {{}}
        - name: tmp
          emptyDir: {{}}
"""

#: Without an address of its own: its name means its pods, whoever of them answers.
_SERVICE: Final = """\
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
{labels}spec:
{headless}  selector:
    app.kubernetes.io/name: ytempire
    app.kubernetes.io/component: {name}
  ports:
{ports}
"""

_BUDGET: Final = """\
---
# work is handed back whenever a node is emptied; one pod after another, so that the stage does not stand still
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {name}
{labels}spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      app.kubernetes.io/name: ytempire
      app.kubernetes.io/component: {name}
"""

_ONE: Final = """\
  # one is enough, and two at once are no help: the old one ends first
  replicas: 1
  strategy: {type: Recreate}
"""
_TWO: Final = """\
  replicas: 2
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
"""
#: No `replicas`, so that applying this again does not undo what KEDA did.
_SCALED: Final = """\
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
"""

_LIFECYCLE: Final = f"""\
          lifecycle:
            preStop:
              sleep: {{seconds: {_LINGER_S}}}
"""


def workload(shape: Shape, *, gateway_port: int) -> str:
    """The file of one process."""
    is_gateway, labels = shape.name == "gateway", LABELS.format(name=shape.name)
    ports = [("metrics", shape.port), *([("http", gateway_port)] if is_gateway else [])]
    text = MADE.format(file="workloads") + _DEPLOYMENT.format(
        name=shape.name,
        count=_TWO if is_gateway else _SCALED if shape.shares else _ONE,
        grace=GRACE_S,
        env="\n".join(_env(shape)),
        ports="\n".join(f"            - {{name: {name}, containerPort: {port}}}" for name, port in ports),
        probes=_probes("/", "http") if is_gateway else _probes("/metrics", "metrics"),
        cpu=shape.cpu,
        memory=shape.memory,
        memory_limit=shape.memory_limit,
        lifecycle=_LIFECYCLE if is_gateway else "",
    )
    text += _SERVICE.format(
        name=shape.name,
        labels=labels,
        headless="" if is_gateway else "  clusterIP: None\n",
        ports="\n".join(f"    - {{name: {name}, port: {port}, targetPort: {name}}}" for name, port in ports),
    )
    return text + (_BUDGET.format(name=shape.name, labels=labels) if shape.shares else "")


def _env(shape: Shape) -> Iterator[str]:
    needed = ["REDIS_URL", "DATABASE_URL", *(["YTEMPIRE_GATEWAY_TOKEN"] if shape.name == "gateway" else [])]
    for key in (*needed, *shape.keys):
        ending = "" if key in needed else ", optional: true"
        yield f"            - name: {key}"
        yield f"              valueFrom: {{secretKeyRef: {{name: ytempire-secrets, key: {key}{ending}}}}}"


def _probes(path: str, port: str) -> str:
    """Its exporter answers once it is open, and the gateway's page from its loop, whether or not the servers do.

    Neither asks whether Redis and Postgres are there: a restart would cure nothing, and /health must be reachable then.
    """
    probes = (("startup", 10, 5, _START_TRIES), ("readiness", 10, 5, 3), ("liveness", 30, 10, 4))
    return "\n".join(
        f"          {name}Probe: {{httpGet: {{path: {path}, port: {port}}}, "
        f"periodSeconds: {every_s}, timeoutSeconds: {timeout_s}, failureThreshold: {tries}}}"
        for name, every_s, timeout_s, tries in probes
    )
