"""`python -m deploy.monitoring`: writes every file that is made from code; a test holds them to it.

With `--host NAME` it prints the list of exporters of this host instead, by its settings: a file for Prometheus.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from deploy.monitoring import reference, scraping
from deploy.monitoring.dashboards import dashboard
from deploy.monitoring.panels import PAGES
from deploy.monitoring.rules import rules
from deploy.monitoring.scraping import prometheus
from schema.errors import PipelineError
from schema.settings import environment
from schema.settings.servers import Servers

_HERE = Path(__file__).parent


def made() -> Iterator[tuple[Path, str]]:
    """Each file and what is to be in it."""
    lines = procfile.read(PROCFILE)
    guardians = tuple(line.name for line in lines if "guardians" in line.argv)
    yield _HERE / "prometheus.yml", prometheus((line.name for line in lines), first_port=Servers().metrics_port)
    yield _HERE / "rules.yml", rules(guardians)
    for page in PAGES:
        yield _HERE / "grafana" / "dashboards" / f"{page.uid.removeprefix('ytempire-')}.json", dashboard(page)
    docs = ROOT / "docs" / "monitoring.md"
    yield docs, reference.put_into(docs.read_text("utf-8"))


def main(arguments: Sequence[str]) -> int:
    """Write them, or print this host's list; returns the exit code."""
    match arguments:
        case []:
            _write()
        case ["--host", name]:
            try:
                print(scraping.host(name, procfile.read(PROCFILE), environment.read().servers), end="")
            except PipelineError as error:
                print(f"{error}  ({error.hint})", file=sys.stderr)
                return 2
        case _:
            print("usage: python -m deploy.monitoring [--host NAME]", file=sys.stderr)
            return 2
    return 0


def _write() -> None:
    for path, text in made():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
