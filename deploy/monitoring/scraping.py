"""The configuration of Prometheus: the exporter of every process of the Procfile, by its name."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.monitoring.rules import made_from, quoted


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
        "  # YTEMPIRE_METRICS_PORT is the first one's port; processes on further machines join the list by their names",
        "  - job_name: ytempire",
        "    static_configs:",
    ]
    for port, process in enumerate(processes, start=first_port):
        lines.append(f"      - targets: [{quoted(f'{host}:{port}')}]")
        lines.append(f"        labels: {{process: {process}}}")
    return "\n".join(lines) + "\n"
