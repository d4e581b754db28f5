"""The processes of a simulated factory: the product's own actors and guardians, each in a process that can die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors import control, dispatch
from actors.intake import Intake
from actors.providers.chain import Buy, Local
from actors.providers.chain import Paid as PaidChoice
from actors.stage import StageActor
from actors.task import Task
from guardians import cost, integrity, stuck
from schema import flow
from schema.artifacts import Artifacts
from schema.errors import PermanentError, RetryableError
from schema.record.gate import GateRecord
from schema.settings.environment import Settings
from streams import names
from streams.control import GateKeeper
from streams.gate import Gate
from streams.process import Process
from streams.transport.in_memory import InMemoryTransport
from streams.watchdog import Watchdog
from tests.simulation.loop import Loop, Owner
from tests.simulation.provider import Order, Paid, Product, Provider
from tests.simulation.record.postgres import over
from tests.simulation.workers import Worker

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Which service a stage buys from; the others cost nothing.
BUYS: Final = {"script": "writer", "media": "finder", "audio": "speaker"}
#: Nothing is ever there: the work of these stages leaves no files.
_NOWHERE: Final = Path("/nowhere")
_MODELS: Final = {False: "standard", True: "economy"}


class Output(msgspec.Struct, frozen=True):
    """What a stage leaves."""

    stage: str
    attempt: int
    text: str = ""


class SimulatedProcess(Process):
    """The parts of a process, over what is in memory."""

    def __init__(self, world: World, name: str, settings: Settings, owner: Owner) -> None:  # no super: it connects
        self.name, self.settings, self.clock, self.owner = name, settings, world.clock, owner
        servers = settings.servers
        self.gate = Gate(now_s=world.loop.time)
        self.watchdog = Watchdog(environ={})
        self.transport = InMemoryTransport(  # type: ignore[assignment] # the same interface
            world.bus, process=name, lease_s=servers.lease_s, block_s=servers.block_s, on_wiped=self._wiped
        )
        self.transport._consumer = f"memory-{owner.name}-0-{world.number():08x}"
        self.postgres = over(world.record, process=name, clock=world.clock)
        self.artifacts = _artifacts()
        self.gate_record = GateRecord(self.postgres)
        self.keeper = GateKeeper(self.gate, self.gate_record, self.transport, block_s=servers.block_s)

    def scratch(self) -> Path:
        """A folder that nobody needs."""
        return _NOWHERE


@cache
def _artifacts() -> Artifacts:
    return Artifacts(str(_NOWHERE))


class Work:
    """What the stages do: take time, reach checkpoints, buy, and now and then fail."""

    def __init__(self, world: World) -> None:
        self._loop, self._chance, self._provider = world.loop, world.chance, world.provider
        self._trouble = world.weather.failing_work

    async def __call__(self, task: Task) -> msgspec.Struct:
        """One attempt."""
        for _ in range(self._chance.randint(1, 4)):
            task.checkpoint()
            await asyncio.sleep(self._chance.choice((0.01, 0.1, 0.5, 1.2)) * self._chance.random())
            task.progress += 0.1
        if self._chance.random() < self._trouble:
            raise self._chance.choice((RetryableError, RetryableError, PermanentError))("the work failed")
        stage, text = task.claim.stage, ""
        if (service := BUYS.get(stage)) is not None:
            order = Order(f"{service} for {task.claim.brief.topic}")
            text = await self._bought(task, service, order)
        task.checkpoint()
        return Output(stage, task.claim.attempt, text)

    async def _bought(self, task: Task, service: str, order: Order) -> str:
        async def buy_it(buy: Buy, *, economy: bool) -> Product:
            answer = await buy(_adapter(self._provider, service, _MODELS[economy]), order, _NOWHERE)
            return answer.result

        async def made_here() -> Product:
            await self._loop.pause()
            return Product("made here")

        cheaper = PaidChoice(f"{service}, economy", partial(buy_it, economy=True))
        standard = PaidChoice(service, partial(buy_it, economy=False), cheaper=cheaper)
        first = cheaper if task.mode().models == "economy" else standard
        delivered = await task.market.deliver(
            (first, Local("local", made_here)), task.claim, checkpoint=task.checkpoint, deadline_s=20.0
        )
        return delivered.result.text


def _adapter(provider: Provider, service: str, model: str) -> Paid:
    return Paid(provider, service, model)


async def _stages(world: World, process: SimulatedProcess) -> None:
    await process.keeper.start()
    worker = Worker(process, world.bus, world.watch.say, gated=True)
    work = Work(world)
    await asyncio.gather(
        worker.keep_leases(),
        *(
            worker.consume(names.stage_subscription(stage), StageActor(process, stage, work).__call__)
            for stage in flow.STAGES
        ),
    )


async def _intake(world: World, process: SimulatedProcess) -> None:
    worker = Worker(process, world.bus, world.watch.say, gated=False)
    await asyncio.gather(
        worker.keep_leases(), worker.consume(names.INTAKE_SUBSCRIPTION, Intake(process).__call__)
    )


def _loop_of(
    run: Callable[[Process], Coroutine[Any, Any, None]], *, gated: bool
) -> Callable[[World, SimulatedProcess], Coroutine[Any, Any, None]]:
    async def begin(_world: World, process: SimulatedProcess) -> None:
        if gated:
            await process.keeper.start()
        await run(process)

    return begin


#: By the name of the place it runs in: the name it goes by, and what it does.
ROLES: Final[dict[str, tuple[str, Callable[[World, SimulatedProcess], Coroutine[Any, Any, None]]]]] = {
    "intake": ("intake", _intake),
    "control": ("control", _loop_of(control.run, gated=False)),
    "dispatch": ("dispatch", _loop_of(dispatch.run, gated=True)),
    "worker_a": ("worker", _stages),
    "worker_b": ("worker", _stages),
    "cost": ("cost", _loop_of(cost.run, gated=False)),
    "stuck": ("stuck", _loop_of(stuck.run, gated=True)),
    "integrity_a": ("integrity", _loop_of(integrity.run, gated=False)),
    "integrity_b": ("integrity", _loop_of(integrity.run, gated=False)),
}
_ = Loop
