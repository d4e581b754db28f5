"""The whole factory on free ports in a temporary folder, for one video; nothing of it stays but the film.

It is the real factory: the same processes, servers and events. It does not look at REDIS_URL, DATABASE_URL or the data
directory, so it disturbs nothing that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from deploy.launch import data_directory, procfile
from deploy.launch.output import Output
from deploy.launch.plan import PROCFILE, Plan, plan
from deploy.launch.ports import free_ports
from deploy.launch.supervisor import Supervisor
from schema.errors import PermanentError, PipelineError, RefusedError, RetryableError
from schema.record.postgres import Postgres
from schema.record.videos import StageRow, VideoRow, Videos
from schema.settings.servers import Servers
from streams import names, receipts
from streams.publish import publish

_RECEIPT_WITHIN_S = 60.0
#: The last resort of the whole factory.
_VIDEO_WITHIN_S = 1800.0
_LOOK_EVERY_S = 0.25

Show = Callable[[Sequence[StageRow]], None]


class Wish(msgspec.Struct, frozen=True):
    """The fields to publish, and the folder that the film goes to."""

    fields: dict[str, str]
    out: Path


def make(wish: Wish, settings: Servers, show: Show, procfile_path: Path = PROCFILE) -> Path | None:
    """Make one video; returns where it is, or None when a signal ended the work.

    Raises PipelineError with the reason when there is no film; what the factory said is then beside where it would be.
    """
    wish.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="ytempire-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with data_directory.held(folder / "data") as hold:
            factory = plan(_elsewhere(settings, procfile_path), hold.path, procfile_path)
            log = hold.path / "logs" / "pipeline.log"
            with Output(log, echo=False) as output, _log_kept(log, wish.out):
                supervisor = Supervisor(factory.servers, factory.workers, output)
                return supervisor.run(lambda: _film(supervisor, factory, hold.path, wish, show))


def _elsewhere(settings: Servers, procfile_path: Path) -> Servers:
    first = free_ports(3 + len(procfile.read(procfile_path)))
    return msgspec.structs.replace(
        settings,
        redis_url="",
        database_url="",
        artifacts_url="",
        actors="",
        redis_port=first,
        postgres_port=first + 1,
        gateway_port=first + 2,
        metrics_port=first + 3,
        wal_archive=False,
    )


@contextlib.contextmanager
def _log_kept(log: Path, out: Path) -> Iterator[None]:
    try:
        yield
    except RefusedError:
        raise
    except PipelineError as error:
        kept = out / "demo.log"
        shutil.copyfile(log, kept)
        error.hint = error.hint or f"what the factory said is in {kept}"
        raise


async def _film(supervisor: Supervisor, factory: Plan, data_dir: Path, wish: Wish, show: Show) -> Path:
    async with supervisor.running():
        video = await asyncio.to_thread(_ask, factory.redis_url, wish.fields)
        postgres = Postgres(factory.database_url, Servers(db_pool_min=1, db_pool_max=1), process="demo")
        await postgres.open()
        try:
            ended = await _watch(Videos(postgres), video, show)
        finally:
            await postgres.close()
    if ended.status != "completed":
        raise PermanentError(f"the video {ended.status}: {ended.reason or 'no reason is known'}")
    return _handed_over(data_dir / "videos" / f"{video}.mp4", wish)


def _ask(redis_url: str, fields: dict[str, str]) -> str:
    # loaded late, as in deploy/commands/connections.py: every command imports this module
    from streams.transport.over_redis import RedisTransport  # noqa: PLC0415

    transport = RedisTransport(redis_url, process="demo", lease_s=5.0)
    try:
        entry_id = publish(transport, names.INTAKE, fields, wait_s=_RECEIPT_WITHIN_S)
        receipt = receipts.wait(transport, names.receipt_key(entry_id), _RECEIPT_WITHIN_S)
    finally:
        transport.close()
    if receipt is None:
        raise RetryableError(f"intake did not answer within {_RECEIPT_WITHIN_S:g} s")
    if "video" not in receipt:
        raise RefusedError(receipt.get("error", "refused"), hint=receipt.get("hint", ""))
    return receipt["video"]


async def _watch(videos: Videos, video: str, show: Show) -> VideoRow:
    """Show the stages until the video has ended."""
    try:
        async with asyncio.timeout(_VIDEO_WITHIN_S):
            while True:
                show(await videos.stages(video))
                row = await videos.find(video)
                if row is not None and row.ended_at is not None:
                    show(await videos.stages(video))
                    return row
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        raise PermanentError(f"there is no film after {_VIDEO_WITHIN_S / 60:g} minutes") from None


def _handed_over(film: Path, wish: Wish) -> Path:
    """Copy the film out, whole or not at all, under the name of its topic."""
    title = re.sub(r"[^a-z0-9]+", "-", wish.fields["topic"].lower()).strip("-")[:60] or film.stem
    target = (wish.out / f"{title}.mp4").absolute()
    part = target.with_suffix(".part")
    shutil.copyfile(film, part)
    return part.replace(target)
