"""The tables of the record as dictionaries, with an undo log: a transaction that fails leaves nothing.

Rows are never changed in place, so that what a reader was given stays as it was. There is one transaction at a time:
what two that overlap could do to each other is not to be learnt here, tests on real servers look at that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, TypeAlias

Row: TypeAlias = "dict[str, Any]"
Rows: TypeAlias = "list[Row]"
Key: TypeAlias = Any

NAMES: Final = (
    *("video_queue", "video_stages", "stage_attempts", "refused_events", "pipeline_costs", "announcements"),
    *("holds", "acknowledged_causes", "control_log", "cursors", "standing_orders", "acknowledged_orders"),
    *("admission_stops", "days", "money_videos", "quota_uses", "reservations", "purchases", "uses", "overruns"),
    "refused_prices",
)
LIVE: Final = ("open", "running", "retrying")


class Tables:
    """All tables, each by its primary key."""

    def __init__(self, server_started_at: datetime) -> None:
        self.server_started_at = server_started_at
        self._tables: dict[str, dict[Key, Row]] = {name: {} for name in NAMES}
        self._undo: list[tuple[str, Key, Row | None]] = []
        self._identity = 0
        #: Told of each row that is committed, with the table, what was there before, and what is there now.
        self.watchers: list[Callable[[str, Key, Row | None, Row | None], None]] = []

    def __getitem__(self, table: str) -> dict[Key, Row]:
        """A table, to be read."""
        return self._tables[table]

    def rows(self, table: str, where: Callable[[Row], bool] = lambda _: True) -> Rows:
        """The rows for which it holds."""
        return [row for row in self._tables[table].values() if where(row)]

    def one(self, table: str, key: Key) -> Row | None:
        """One row."""
        return self._tables[table].get(key)

    def put(self, table: str, key: Key, row: Row) -> Row:
        """Write a row in the place of what is there."""
        rows = self._tables[table]
        self._undo.append((table, key, rows.get(key)))
        rows[key] = row
        return row

    def change(self, table: str, key: Key, **values: object) -> Row:
        """Change some columns of a row."""
        return self.put(table, key, {**self._tables[table][key], **values})

    def delete(self, table: str, key: Key) -> Row:
        """Remove a row; returns it."""
        row = self._tables[table].pop(key)
        self._undo.append((table, key, row))
        return row

    def identity(self) -> int:
        """The next number, which a transaction that fails does not give back."""
        self._identity += 1
        return self._identity

    def place(self) -> int:
        """Where the undo log is: a savepoint."""
        return len(self._undo)

    def rollback(self, place: int = 0) -> None:
        """Undo all that was written since."""
        for table, key, before in reversed(self._undo[place:]):
            if before is None:
                self._tables[table].pop(key, None)
            else:
                self._tables[table][key] = before
        del self._undo[place:]

    def commit(self) -> None:
        """What was written stands; watchers are told."""
        written, self._undo = self._undo, []
        if not self.watchers:
            return
        first: dict[tuple[str, Key], Row | None] = {}
        for table, key, before in written:
            first.setdefault((table, key), before)
        for (table, key), before in first.items():
            for watcher in self.watchers:
                watcher(table, key, before, self._tables[table].get(key))


def newest_first(rows: Iterable[Row], *columns: str) -> Rows:
    """Rows by these columns, the greatest first."""
    return sorted(rows, key=lambda row: tuple(row[column] for column in columns), reverse=True)


def by(rows: Iterable[Row], *columns: str) -> Rows:
    """Rows by these columns."""
    return sorted(rows, key=lambda row: tuple(row[column] for column in columns))
