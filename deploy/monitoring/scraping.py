"""The configuration of Prometheus: the exporter of every process of the Procfile, by its name; a file for each host."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from deploy.launch import procfile
from deploy.monitoring.rules import made_from, quoted
from schema.settings.servers import Servers

#: Where Prometheus finds the files of hosts that run a share of the Procfile, beside its configuration.
HOSTS = "hosts/*.json"


def prometheus(
    processes: Iterable[str],
    *,
    first_port: int,
    host: str = "127.0.0.1",
    alertmanager: str = "127.0.0.1:9093",
    rules: str = "rules.yml",
    every: str = "15s",
    patience: str = "5s",
) -> str:
    """The file; the exporter of the first process listens on `first_port`, each that follows one higher."""
    lines = [
        made_from("scraping").rstrip(),
        "global:",
        f"  scrape_interval: {every}",
        f"  scrape_timeout: {patience}",
        f"  evaluation_interval: {every}",
        "rule_files:",
        f"  - {quoted(rules)}",
        "alerting:",
        "  alertmanagers:",
        "    - static_configs:",
        f"        - targets: [{quoted(alertmanager)}]",
        "scrape_configs:",
        "  # YTEMPIRE_METRICS_PORT is the first one's port. Each further host has a file of its own, made on it by",
        "  # `python -m deploy.monitoring --host NAME`; where several hosts share the processes, have only such files",
        "  - job_name: ytempire",
        "    file_sd_configs:",
        f"      - files: [{quoted(HOSTS)}]",
        "    static_configs:",
    ]
    for port, process in enumerate(processes, start=first_port):
        lines.append(f"      - targets: [{quoted(f'{host}:{port}')}]")
        lines.append(f"        labels: {{process: {process}}}")
    return "\n".join(lines) + "\n"


def host(name: str, lines: Iterable[procfile.Line], servers: Servers) -> str:
    """The file of a host that Prometheus calls `name`: the exporters of the lines that run there, as JSON."""
    share = procfile.share(tuple(lines), servers.actors)
    targets = [
        {"targets": [f"{name}:{servers.metrics_port + place}"], "labels": {"process": line.name}}
        for place, line in share
    ]
    return msgspec.json.format(msgspec.json.encode(targets)).decode() + "\n"
