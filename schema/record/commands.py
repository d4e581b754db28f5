"""Commands as the record carries them out: each once, in order, some of the stream in one transaction.

A refusal changes nothing, is kept with its reason, and is an answer like any other. A command that meets a row locked
by somebody else waits a moment for it and is refused then: none stands for long in the way of those behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schema import wire
from schema.errors import RefusedError
from schema.events.command import STREAM, Command
from schema.events.notice import GPU_RELEASE
from schema.record import control_log, endings, standing
from schema.record.announcements import announce
from schema.record.gate import State, hold_or_lift, state_of, unsent_holds
from schema.record.postgres import Connection, Postgres
from schema.record.refusals import Refused, reject

#: Verbs that shut and open the gate.
HOLDS = ("halt", "pause", "resume")
#: How an answer begins that changed nothing.
NOTHING = "nothing"
_ACKNOWLEDGED = f"{NOTHING}: an operator has acknowledged this cause"
_APPLIED_BEFORE = "nothing: it was applied before"


class Answer(msgspec.Struct, frozen=True):
    """What became of a command: what it did in words, and the gate after it; `error` where it was refused."""

    did: str
    gate: State
    error: RefusedError | None = None


class Commands:
    """What stream:control and the command line ask of the record."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def apply(self, command: Command) -> Answer:
        """Carry out one command directly, known by its id; raises RefusedError."""

        async def work(connection: Connection) -> Answer:
            return await _answer(connection, command, None, await state_of(connection))

        answer = await self._postgres.run(work)
        if answer.error is not None:
            raise answer.error
        return answer

    async def apply_directly(self, given: Sequence[Command]) -> list[Answer]:
        """Carry out some commands directly, in one transaction, each answered for itself."""

        async def work(connection: Connection) -> list[Answer]:
            state = await state_of(connection)
            return [await _answer(connection, command, None, state) for command in given]

        return await self._postgres.run(work)

    async def apply_entries(self, entries: Sequence[tuple[str, Command | RefusedError]], *, after: str) -> list[Answer]:
        """Carry out what these entries of the stream say, in order; all up to `after` was answered before.

        What was met before, and could not be answered because of a crash, is answered again.
        """

        async def work(connection: Connection) -> list[Answer]:
            answers: list[Answer] = []
            state = await state_of(connection)
            for entry_id, said in entries:
                if isinstance(said, RefusedError):
                    answers.append(Answer("", state, said))
                else:
                    answers.append(await _answer(connection, said, entry_id, state))
                    state = answers[-1].gate
            met = zip(entries, answers, strict=True)
            refused = [Refused(STREAM, at, str(got.error), got.error.hint) for (at, _), got in met if got.error]
            await reject(connection, refused)
            await control_log.advance(connection, after)
            return answers

        return await self._postgres.run(work)

    async def answered(self, entry_id: str) -> None:
        """All up to this entry was carried out and answered."""
        await self._postgres.run(lambda connection: control_log.advance(connection, entry_id))

    async def begin_anew(self) -> None:
        """The stream began again (a wipe)."""
        await self._postgres.run(control_log.begin_anew)

    async def unsent(self) -> list[Command]:
        """Commands that were written here and are not in the stream yet."""

        async def work(connection: Connection) -> list[Command]:
            return [*await unsent_holds(connection), *await standing.unsent(connection)]

        return await self._postgres.run(work)

    async def tidy(self) -> None:
        """Forget what is only about videos that have ended."""
        await self._postgres.run(standing.tidy)


async def _answer(connection: Connection, command: Command, entry_id: str | None, state: State) -> Answer:
    """Carry out a command, or refuse it and change nothing; `state` is the gate before it."""
    if command.verb in HOLDS:
        did = await _once(connection, command, entry_id)
        return Answer(did, await state_of(connection))
    try:
        async with connection.transaction():  # a savepoint: what is refused leaves nothing half done
            return Answer(await _once(connection, command, entry_id), state)
    except RefusedError as error:
        if entry_id:
            await control_log.refuse(connection, command, entry_id, error)
        return Answer("", state, error)


async def _once(connection: Connection, command: Command, entry_id: str | None) -> str:
    if not await control_log.enter(connection, command, entry_id):
        error = await control_log.refusal(connection, command, entry_id) if entry_id else None
        if error is None:
            if entry_id:
                await control_log.arrived(connection, command, entry_id)
            return _APPLIED_BEFORE
        # what was refused changed nothing: a hold that bears its id was not applied, and a hold is never refused
        if command.verb not in HOLDS:
            raise error
    token, entry = control_log.token(command, entry_id), control_log.position(entry_id) if entry_id else None
    match command.verb:
        case "mode" | "throttle":
            await _refuse_ended(connection, command.video)
            did = await standing.give(connection, command, token=token, entry=entry)
        case "cancel":
            did = await endings.cancel(connection, command)
        case "retry":
            did = await endings.retry(connection, command)
        case "release_gpu":
            await announce(connection, GPU_RELEASE, by=command.by, reason=command.reason)
            did = "asked render actors to release what they can"
        case _:
            lifted = await hold_or_lift(connection, command, token=token, entry=entry)
            did = _ACKNOWLEDGED if lifted is None else f"lifted {lifted}" if command.verb == "resume" else "holds"
    return did


async def _refuse_ended(connection: Connection, video: str) -> None:
    if not video:
        return
    status = await connection.fetchval("SELECT status FROM video_queue WHERE id = $1", video)
    if status is None or status in endings.ENDED:
        is_so = f"{video} has ended: it is {status}" if status else f"there is no video {wire.shown(video)}"
        raise RefusedError(is_so, hint="./ytempire videos")
