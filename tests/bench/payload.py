"""What a job carries, the same for every peer."""

from __future__ import annotations

from typing import Any


def event(job: int) -> dict[str, Any]:
    """A plain event of ordinary size, about 230 bytes as JSON."""
    return {
        "type": "shot.requested",
        "job": job,
        "project": "demo-0001",
        "scene": job % 40,
        "seed": 1234567,
        "prompt": "a lighthouse at dusk, slow dolly in, waves on the rocks, warm light in the window",
        "fps": 24,
    }
