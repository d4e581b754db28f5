"""`python -m deploy.kubernetes`: writes every manifest that is made from the Procfile; a test holds them to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploy.kubernetes.scaling import scaled
from deploy.kubernetes.shapes import shapes
from deploy.kubernetes.workloads import workload
from deploy.launch import procfile
from deploy.launch.plan import PROCFILE, ROOT
from schema.settings.servers import Servers

_HERE = Path(__file__).parent


def made() -> Iterator[tuple[Path, str]]:
    """Each file and what is to be in it."""
    servers = Servers()
    processes = shapes(procfile.read(PROCFILE), first_port=servers.metrics_port)
    for shape in processes:
        yield _HERE / f"base/processes/{shape.name}.yaml", workload(shape, gateway_port=servers.gateway_port)
    yield _HERE / "overlays/keda/stages.yaml", scaled(processes)


def main() -> None:
    """Write them."""
    for path, text in made():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
