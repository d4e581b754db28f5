"""What only the owner of the tables may do for them: VACUUM and ANALYZE, by a connection of its own.

It may run beside everything else. It waits for nobody: a table that somebody holds is vacuumed the next day.
"""

from __future__ import annotations

from typing import Final

import asyncpg

#: What grows and changes; the first two are the runbook's.
TABLES: Final = (
    "video_queue",
    "pipeline_costs",
    "video_stages",
    "stage_attempts",
    "control_log",
    "messages",
    "money.reservations",
    "money.days",
    "money.videos",
)
_PATIENCE_S: Final = 600.0


async def vacuum(database_url: str) -> int:
    """VACUUM ANALYZE each table; returns how many there are."""
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "ytempire vacuum"})
    try:
        for table in TABLES:
            await connection.execute(f"VACUUM (ANALYZE, SKIP_LOCKED) {table}", timeout=_PATIENCE_S)
    finally:
        await connection.close()
    return len(TABLES)
