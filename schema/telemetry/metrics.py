"""Every metric of the factory, and the exporter that Prometheus scrapes: one per process.

A registry of our own, so nothing that a library registers appears by surprise. Counters begin at zero with their
process; what must survive a restart is in the record. Names follow the rules of Prometheus: base units, no ids of
videos in labels. The operators' table of key figures and the guardians' limits are the exception: they keep the
runbook's units (videos, seconds, per cent, dollars), so that both are read as they are written there.
"""

from __future__ import annotations

import errno
import threading
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from schema import flow
from schema.errors import ConfigurationError
from schema.release import RELEASE

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

#: Seconds; the runbook's limits of the stages are among them.
_STAGE_BUCKETS_S = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900, 1800)

BUILD = Info("ytempire_build", "What is running", registry=REGISTRY)

EVENTS_ACCEPTED = Counter("ytempire_events_accepted", "Events that were understood and committed", registry=REGISTRY)
EVENTS_REJECTED = Counter(
    "ytempire_events_rejected", "Events that were refused before they became work", registry=REGISTRY
)

#: Outcomes are those of the table stage_attempts: done, retried, failed, released, crashed, dropped, timed_out.
STAGE_ATTEMPTS = Counter(
    "ytempire_stage_attempts",
    "Attempts of a stage that ended, by how they ended",
    ["stage", "outcome"],
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "ytempire_stage_seconds",
    "Seconds that a finished attempt of a stage took",
    ["stage"],
    buckets=_STAGE_BUCKETS_S,
    registry=REGISTRY,
)
RETRIES = Counter(
    "ytempire_retries", "Attempts that failed in a passing way and will be repeated", ["stage"], registry=REGISTRY
)

IN_HAND = Gauge("ytempire_videos_in_hand", "Videos that are admitted and have not ended", registry=REGISTRY)
QUEUED = Gauge("ytempire_videos_queued", "Videos that are queued (the depth of the queue)", registry=REGISTRY)
#: What a stage is scaled by. It is the record's: a group's lag, as Redis has it, may be unknown.
STAGE_WORK = Gauge(
    "ytempire_stage_work",
    "Videos in hand for which a stage has work: ready, running or to be retried",
    ["stage"],
    registry=REGISTRY,
)
WAITING = Gauge("ytempire_videos_waiting", "Videos that wait beyond the queue's capacity", registry=REGISTRY)

GATE = Enum(
    "ytempire_gate",
    "Whether this process takes work",
    states=["open", "paused", "halted", "stopping"],
    registry=REGISTRY,
)

#: Outcomes are those of the transport: settled, lost, gone.
SETTLES = Counter(
    "ytempire_settles", "Entries that were acknowledged, by what Redis answered", ["outcome"], registry=REGISTRY
)
REDELIVERED = Counter(
    "ytempire_redelivered", "Entries that were delivered more than once", ["group"], registry=REGISTRY
)
LEASES_LOST = Counter(
    "ytempire_leases_lost", "Entries in work here that went to somebody else", ["group"], registry=REGISTRY
)

#: What the server does not know has no sample: it is never shown as 0.
STREAM_DEPTH = Gauge(
    "ytempire_stream_depth", "Entries that a group was not yet given", ["stream", "group"], registry=REGISTRY
)
STREAM_PENDING = Gauge(
    "ytempire_stream_pending", "Entries given to a group and not ended", ["stream", "group"], registry=REGISTRY
)
STREAM_OLDEST_PENDING_SECONDS = Gauge(
    "ytempire_stream_oldest_pending_seconds",
    "Age of the oldest entry that a group has not ended; none: nothing is pending",
    ["stream", "group"],
    registry=REGISTRY,
)
DELAYED = Gauge("ytempire_delayed", "Entries of a group that wait for their time", ["group"], registry=REGISTRY)
DEAD_LETTERS = Gauge("ytempire_dead_letters", "Dead letters that are kept", registry=REGISTRY)
ENTRIES_TRIMMED = Counter("ytempire_entries_trimmed", "Entries that nobody needed any more", registry=REGISTRY)

FACTS_REPUBLISHED = Counter(
    "ytempire_facts_republished", "Facts that integrity found missing from Redis", registry=REGISTRY
)

INTEGRITY_FOUND = Gauge(
    "ytempire_integrity_found", "Contradictions that integrity leaves to a person", ["checks"], registry=REGISTRY
)

GUARDIAN_LAST_TICK = Gauge(
    "ytempire_guardian_last_tick_timestamp_seconds",
    "When a guardian last looked and found nothing in its way, in seconds since 1970",
    ["guardian"],
    registry=REGISTRY,
)
GUARDIAN_ACTIONS = Counter(
    "ytempire_guardian_actions",
    "What a guardian did, by the type of its notice",
    ["guardian", "type"],
    registry=REGISTRY,
)
#: `figure` is the metric, or the key figure, that is compared with it.
GUARDIAN_LIMIT = Gauge(
    "ytempire_guardian_limit",
    "The value of a figure from which a guardian calls it so",
    ["guardian", "figure", "level"],
    registry=REGISTRY,
)

#: What is not known has no sample.
KEY_FIGURE = Gauge("ytempire_key_figure", "The operators' table of key figures", ["figure"], registry=REGISTRY)
KEY_FIGURE_LEVEL = Gauge(
    "ytempire_key_figure_level", "0 normal, 1 warning, 2 critical; none: not known", ["figure"], registry=REGISTRY
)

#: Figures: day (reserved and spent), last_hour and dearest_video (spent; of those in hand).
COST_USD = Gauge("ytempire_cost_dollars", "What is compared with the budgets", ["figure"], registry=REGISTRY)

GPU_CARDS = Gauge("ytempire_gpu_cards", "Graphics cards that answer", registry=REGISTRY)
#: Kinds: total, used, free, and the two limits beside them, limit_used and limit_free.
GPU_MEMORY_BYTES = Gauge("ytempire_gpu_memory_bytes", "Memory of a card", ["card", "kind"], registry=REGISTRY)
GPU_UTILIZATION = Gauge("ytempire_gpu_utilization_ratio", "Utilisation of a card, 0 to 1", ["card"], registry=REGISTRY)
GPU_TEMPERATURE = Gauge("ytempire_gpu_temperature_celsius", "Temperature of a card", ["card"], registry=REGISTRY)
GPU_ENCODER_SESSIONS = Gauge("ytempire_gpu_encoder_sessions", "NVENC sessions on a card", ["card"], registry=REGISTRY)
GPU_PROCESS_BYTES = Gauge(
    "ytempire_gpu_process_bytes", "Memory that a process has on a card", ["card", "pid"], registry=REGISTRY
)
#: `gpu`: composed and encoded on the card; `gpu_libx264`: a card without an encoder; `cpu`.
RENDERS = Counter(
    "ytempire_renders",
    "Films that were made, by what composed and encoded them",
    ["backend", "encoder"],
    registry=REGISTRY,
)
#: Causes are those of actors/rendering/composing/card.py, such as no_driver, no_session, out_of_memory.
RENDER_FALLBACKS = Counter(
    "ytempire_render_fallbacks",
    "Films that were not made in the first way, by the last cause",
    ["cause"],
    registry=REGISTRY,
)
GPU_JOBS_LIMIT = Gauge(
    "ytempire_gpu_jobs_limit", "GPU jobs that may run at once; none: not throttled", ["host"], registry=REGISTRY
)
ADMISSION_STOPPED = Gauge(
    "ytempire_admission_stopped", "1 while a guardian lets no video be admitted", ["cause"], registry=REGISTRY
)

#: Routes as they are declared, without names of videos; `refused` where a request never came to one.
HTTP_SECONDS = Histogram(
    "ytempire_http_seconds",
    "Seconds until the gateway began to answer",
    ["route", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)

STUCK_ATTEMPTS = Gauge(
    "ytempire_stuck_attempts", "Attempts that are silent, or over their limit", ["cause"], registry=REGISTRY
)


def version() -> str:
    """The version of this program."""
    return RELEASE


#: What an alert counts must be there at 0: the first of a series that was not there is no increase.
RENDER_FALLBACKS.labels("out_of_memory")
for _stage in flow.STAGES:
    STAGE_SECONDS.labels(_stage.name)
    RETRIES.labels(_stage.name)


class _Exporter:
    """The one exporter of this process."""

    server: WSGIServer | None = None
    thread: threading.Thread | None = None


def serve(host: str, port: int) -> int:
    """Start the exporter; returns the port it listens on (another one than `port` only when that is 0).

    Raises ConfigurationError, naming the setting, when it cannot listen there.
    """
    if _Exporter.server is not None:
        raise RuntimeError("the exporter is running already: call stop() first")
    BUILD.info({"version": version()})
    try:
        _Exporter.server, _Exporter.thread = start_http_server(port, host, registry=REGISTRY)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None
    return int(_Exporter.server.server_port)


def stop() -> None:
    """Stop the exporter and wait until its port is free; nothing running is fine."""
    if _Exporter.server is None or _Exporter.thread is None:
        return
    _Exporter.server.shutdown()
    _Exporter.server.server_close()
    _Exporter.thread.join()
    _Exporter.server = _Exporter.thread = None


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        message = f"port {port} on {host} is taken: the metrics exporter cannot listen there"
    else:
        message = f"the metrics exporter cannot listen on {host} port {port}: {error.strerror}"
    hint = "set YTEMPIRE_METRICS_PORT (the first process's; the next line of the Procfile is one higher)"
    if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
        hint = "set YTEMPIRE_METRICS_HOST to an address of this machine, such as 127.0.0.1"
    return ConfigurationError(message, hint=hint)
