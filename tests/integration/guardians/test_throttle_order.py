"""What the gpu guardian orders, carried out by the control actor."""

from __future__ import annotations

import asyncio

from actors import control
from guardians.throttle import Throttle
from tests.integration.processes import Processes, running, until
from tests.integration.record.conftest import value


async def test_the_order_of_the_gpu_guardian_is_carried_out_and_lifted_by_the_control_actor(
    processes: Processes,
) -> None:
    actor, guardian = await processes("control"), await processes("gpu")
    throttle = Throttle(guardian, cause="gpu_memory", host="here", jobs=2)
    asked = "SELECT string_agg(kind || ' ' || scope || ' ' || value || ' by ' || by, ',') FROM standing_orders"

    async def stands(order: str | None) -> bool:
        return await value(guardian.postgres, asked) == order

    async with running(control.run(actor)):
        await asyncio.sleep(0)
        await throttle.set("card 0 is full", now_s=1)
        await until(lambda: stands("throttle here 2 by gpu"))
        await throttle.set("", now_s=2)
        await until(lambda: stands(None))
