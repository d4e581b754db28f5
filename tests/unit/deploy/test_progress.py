from __future__ import annotations

import io

from rich.console import Console

from deploy.commands.progress import Screen
from schema.record.videos import StageRow


def row(stage: str, status: str, progress: float = 0.0, error: str = "") -> StageRow:
    return StageRow(stage, status, 1, progress, error, None, None)


def test_without_a_terminal_each_change_is_one_line() -> None:
    out = io.StringIO()
    with Screen(Console(file=out, width=80)) as screen:
        screen.show([row("script", "open")])
        screen.show([row("script", "running")])
        screen.show([row("script", "running", 0.1)])
        screen.show([row("script", "running", 0.6)])
        screen.show([row("script", "done", 1.0), row("media", "failed", error="no [pictures]")])
    assert out.getvalue() == "script   running\nscript   running 60%\nscript   done\nmedia    failed: no [pictures]\n"


def test_on_a_terminal_there_is_a_bar_for_every_stage() -> None:
    out = io.StringIO()
    with Screen(Console(file=out, width=80, force_terminal=True, legacy_windows=False)) as screen:
        screen.show([row("script", "done", 1.0), row("render", "running", 0.5)])
    last = out.getvalue()
    assert all(name in last for name in ("script", "media", "audio", "render", "quality"))
    assert "running" in last
