"""What operators say to a whole factory while it runs: cancel, retry, mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.transport.connection import Connection
from tests.factory.running import STUBS, Factory, factory
from tests.integration.streams.workers import Server

pytestmark = pytest.mark.slow

NOTES = "Rivers carry more than water. " * 12
_STAGE_S = "1.5"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """One factory whose stages take their time."""
    folder = tmp_path_factory.mktemp("data")
    with factory(folder, procfile=STUBS, environ={"STUB_STAGE_S": _STAGE_S}) as started:
        yield started


@pytest.fixture(scope="module")
def server(running: Factory) -> Iterator[Server]:
    """A client that looks at the streams."""
    connection = Connection(running.redis_url, block_s=1.0)
    yield connection.commands
    connection.close()


def _video_in(running: Factory, stage: str) -> str:
    """A video of which `stage` is being worked on."""
    seen = running.started(stage)
    video = running.receipt(running.submit(topic=f"Being in {stage}", notes=NOTES))["video"]
    running.until(lambda: running.started(stage, seen))
    return video


def _until_it_is(running: Factory, video: str, status: str) -> None:
    running.until(lambda: running.rows("SELECT 1 FROM video_queue WHERE id = $1 AND status = $2", video, status))


def _ends(server: Server, video: str) -> list[bytes]:
    """How the video ended, as stream:videos tells it."""
    return [fields[b"type"] for _, fields in server.xrange("stream:videos") if fields[b"video"] == video.encode()]


def test_a_running_video_is_cancelled_told_once_and_completed_after_a_retry(running: Factory, server: Server) -> None:
    video = _video_in(running, "media")
    assert running.command(type="retry", video=video)["status"] == "rejected"
    assert running.command(type="cancel", video=video)["status"] == "applied"
    _until_it_is(running, video, "cancelled")
    running.until(lambda: _ends(server, video))
    assert running.command(type="retry", video=video)["did"] == f"{video} goes on at media"
    _until_it_is(running, video, "completed")
    running.until(lambda: len(_ends(server, video)) == 2)
    assert _ends(server, video) == [b"video.cancelled", b"video.completed"]
    done = "SELECT count(*) FROM stage_attempts WHERE video_id = $1 AND stage = 'script'"
    assert running.rows(done, video) == [(1,)], "what was done is not done again"


def test_a_completed_video_is_made_again_from_a_stage_on(running: Factory, server: Server) -> None:
    video = _video_in(running, "script")
    _until_it_is(running, video, "completed")
    running.command(**{"type": "retry", "video": video, "from": "render", "fresh": "yes"})
    running.until(lambda: len(_ends(server, video)) == 2)
    attempts = "SELECT stage, count(*) FROM stage_attempts WHERE video_id = $1 AND outcome = 'done' GROUP BY stage"
    again = {("script", 1), ("media", 1), ("audio", 1), ("render", 2), ("quality", 2)}
    assert set(running.rows(attempts, video)) == again
    assert running.rows("SELECT stage, take FROM video_stages WHERE video_id = $1 AND take > 0 ORDER BY 1", video) == [
        ("quality", 1),
        ("render", 1),
    ]


def test_in_economy_mode_no_more_than_three_are_in_hand(running: Factory) -> None:
    running.command(type="mode", mode="economy")
    entries = [running.submit(topic=f"River {number}", notes=NOTES) for number in range(6)]
    videos = [running.receipt(entry)["video"] for entry in entries]
    in_hand = "SELECT count(*) FROM video_stages WHERE stage = 'quality' AND status IN ('open', 'running', 'retrying')"
    running.until(lambda: running.rows(in_hand) == [(3,)])
    for _ in range(20):
        assert running.rows(in_hand)[0][0] in (0, 1, 2, 3)
    running.command(type="mode", mode="normal")
    for video in videos:
        _until_it_is(running, video, "completed")
