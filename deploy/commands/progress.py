"""Shows the stages of one video while it is made: bars on a terminal, otherwise a line whenever something changes."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schema import flow
from schema.record.videos import StageRow

_LINE_EVERY = 0.25


class Screen:
    """One video's stages; give it their rows again and again."""

    def __init__(self, console: Console | None = None) -> None:
        """Draw on standard output, or on `console`."""
        self._console = console or Console(highlight=False)
        self._said: dict[str, tuple[str, int]] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.fields[state]:<8}"),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,  # a thread of rich's own would be one more than the launcher may have
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        if self._console.is_terminal:
            self._progress.stop()

    def say(self, text: str) -> None:
        """One line above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, stages: Sequence[StageRow]) -> None:
        """The stages as they are now."""
        rows = {row.stage: row for row in stages}
        for stage in flow.STAGES:
            row = rows.get(stage.name)
            if self._console.is_terminal:
                self._draw(stage.name, row)
            elif row is not None:
                self._tell(row)
        if self._console.is_terminal:
            self._progress.refresh()

    def _draw(self, name: str, row: StageRow | None) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=1.0, start=False, state="waits")
        if row is None or row.status == "open":
            return
        bar = self._bars[name]
        if not self._progress.tasks[bar].started:
            self._progress.start_task(bar)
        self._progress.update(bar, completed=1.0 if row.status == "done" else row.progress, state=row.status)
        if row.status in ("done", "failed", "dropped"):
            self._progress.stop_task(bar)

    def _tell(self, row: StageRow) -> None:
        now = (row.status, int(row.progress / _LINE_EVERY) if row.status == "running" else 0)
        if row.status == "open" or self._said.get(row.stage) == now:
            return
        self._said[row.stage] = now
        share = f" {row.progress:.0%}" if row.status == "running" and row.progress else ""
        self.say(f"{row.stage:<8} {row.status}{share}{': ' if row.error else ''}{row.error}")
