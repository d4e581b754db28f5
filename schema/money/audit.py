"""Money against itself: costs that cannot be, costs that are not what the ledger has, totals that are not their rows.

The ledger's reservations are believed, costs are written again from them; a total that is too low is raised, since a
budget must see all that is spent. What errs on the safe side, or has no reservation to compare with, is only said.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from schema.money.calls import dollars
from schema.money.statement import Contradiction, Statement
from schema.record.audit import Finding
from schema.record.postgres import Connection, Postgres

_MOST: Final = 100
COSTS: Final = "costs of a reservation"


class MoneyAudit:
    """Asks the ledger about itself."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres, self._statement = postgres, Statement(postgres)

    async def implausible(self) -> list[Finding]:
        """The runbook's second query: costs below 0 or above 10 dollars, taken out of the costs."""

        async def find(connection: Connection) -> list[tuple[int, str, str]]:
            rows = await connection.fetch(
                "SELECT id, video_id, amount FROM pipeline_costs WHERE amount < 0 OR amount > 10 LIMIT $1", _MOST
            )
            return [(row["id"], row["video_id"], dollars(row["amount"])) for row in rows]

        found = []
        for cost, video, usd in await self._postgres.run(find):
            done = (await self._postgres.call("SELECT money.set_aside_cost($1) AS done", cost))["done"]
            if done is not None:
                words = {"rewritten": "written again as the ledger has it"}.get(done, "moved to money.costs_set_aside")
                found.append(Finding("implausible_cost", video, f"a cost of {usd}: it is {words}"))
        return found

    async def contradictions(self) -> tuple[list[Finding], list[Finding]]:
        """Totals and costs that contradict their rows: what was mended, and what stands. Reads every row there is."""
        found = await self._statement.contradictions()
        mended = [
            Finding(_check(wrong), wrong.name, f"{_words(wrong)}: mended") for wrong in found if await self._mend(wrong)
        ]
        stands = await self._statement.contradictions() if mended else found
        return mended, [Finding(_check(wrong), wrong.name, _words(wrong)) for wrong in stands]

    async def _mend(self, wrong: Contradiction) -> bool:
        if wrong.counter == COSTS:
            row = await self._postgres.call("SELECT money.rewrite_costs($1) AS done", UUID(wrong.name))
        else:
            row = await self._postgres.call("SELECT money.raise_counter($1, $2) AS done", wrong.counter, wrong.name)
        return bool(row["done"])


def _check(wrong: Contradiction) -> str:
    return "costs_of_reservation" if wrong.counter == COSTS else f"total_of_{wrong.counter}"


def _words(wrong: Contradiction) -> str:
    return (
        f"{wrong.counter} {wrong.name} says {dollars(wrong.counted_spent_usd)} spent and "
        f"{dollars(wrong.counted_reserved_usd)} reserved, its rows {dollars(wrong.rows_spent_usd)} and "
        f"{dollars(wrong.rows_reserved_usd)}"
    )
