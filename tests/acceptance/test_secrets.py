"""A whole factory with secrets of no known shape, put through failures: none is in anything that it wrote or said.

It looks at all that there is: its folder byte by byte, the record row by row, the streams, what each command prints,
the command lines of its processes. On the way it asks Redis whether any process wanted more than an actor may.
"""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from deploy.commands.redis_cli import Connection, from_url
from deploy.launch.bus_users import ACTOR
from tests.factory.running import Factory, factory
from tests.fakes import running as fakes
from tests.fakes.faults import Fault
from tests.fakes.running import Fakes
from tests.fakes.wire import KEYS

pytestmark = pytest.mark.slow

TOKEN, HOOK = "canary of the gateway", "canary-in-the-hook"
SETTINGS = {"YTEMPIRE_GATEWAY_TOKEN": TOKEN, "YTEMPIRE_ALERTS_TO": f"json://127.0.0.1:1/{HOOK}"}
NOTES = "Rivers carry more than water. They carry sand and stones to the sea. Nobody sees it happen. " * 3
COMMANDS = (
    ("doctor",),
    ("status",),
    ("check",),
    ("monitor",),
    ("costs",),
    ("alert", "a test"),
    ("report",),
    ("backup",),
    ("env",),
    ("validate",),
    ("cli", "INFO"),
)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Factory, list[str]]]:
    """A factory after a bad day, still running, and what its commands printed."""
    with (
        fakes.running(tmp_path_factory.mktemp("fakes")) as providers,
        factory(tmp_path_factory.mktemp("factory") / "data", environ=providers.environ() | SETTINGS) as real,
    ):
        _bad_day(real, providers)
        yield real, [_printed(real, command) for command in COMMANDS]


def _bad_day(real: Factory, providers: Fakes) -> None:
    providers.order(
        Fault("openai", "wrong_key", count=0),
        Fault("pexels", "server_error", count=0),
        Fault("elevenlabs", "reset_after", count=2),
        Fault("google", "malformed_body", count=0),
    )
    video = real.receipt(real.submit(topic="Rivers", notes=NOTES, length="10s"))["video"]
    real.until(lambda: real.started("audio"))
    os.kill(real.pid_of("media"), signal.SIGABRT)
    os.kill(real.pid_of("dispatch"), signal.SIGKILL)
    refused = real.receipt(real.submit(topic="", key="a bad one"))
    assert "error" in refused
    for path, headers in (("/settings", {}), ("/overview", {"X-Real-Ip": "203.0.113.9", "Authorization": "Bearer x"})):
        request = urllib.request.Request(f"http://127.0.0.1:{real.gateway_port}{path}", headers=headers)
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http
            real.said.append(answer.read().decode())
    real.until(lambda: real.rows("SELECT FROM video_queue WHERE id = $1 AND ended_at IS NOT NULL", video), within_s=240)


def _printed(real: Factory, command: tuple[str, ...]) -> str:
    environ = real.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = (sys.executable, "-m", "deploy", command[0], "--data", str(real.folder), *command[1:])
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert "Usage" not in done.stderr, done.stderr
    return f"{command}: {done.stdout}{done.stderr}"


def _actors_password(real: Factory) -> str:
    url = psutil.Process(real.pid_of("intake")).environ()["REDIS_URL"]
    assert urlsplit(url).username == ACTOR
    return urlsplit(url).password or ""


def _canaries(real: Factory) -> list[bytes]:
    found = [*KEYS.values(), TOKEN, HOOK, _actors_password(real)]
    assert all(len(canary) > 10 for canary in found)
    return [canary.encode() for canary in found]


def test_no_secret_is_in_any_file(troubled: tuple[Factory, list[str]]) -> None:
    real, _ = troubled
    files = [path for path in real.folder.rglob("*") if path.is_file()]
    assert {"pipeline.log", "record.dump", "users.acl", "settings.env"} <= {path.name for path in files}
    for path in files:
        with suppress(FileNotFoundError):  # the factory runs
            held = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert not [canary for canary in _canaries(real) if canary in held], path


def test_no_secret_is_in_any_row_or_event(troubled: tuple[Factory, list[str]]) -> None:
    real, _ = troubled
    tables = real.rows(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('public', 'money')"
    )
    assert len(tables) > 20
    asked = [f"SELECT t::text FROM {schema}.{name} AS t" for schema, name in tables]  # noqa: S608 - Postgres' own names
    text = "".join(str(row) for statement in asked for row in real.rows(statement))
    assert "refuses the key" in text, "the bad day was none"
    with Connection(from_url(real.redis_url)) as redis:
        for key in _replies(redis, "KEYS", "stream:*"):
            text += str(_replies(redis, "XRANGE", str(key), "-", "+"))
        for key in _replies(redis, "KEYS", "receipt:*"):
            text += str(_replies(redis, "HGETALL", str(key)))
    assert not [canary for canary in _canaries(real) if canary.decode() in text]


def test_no_secret_is_in_what_it_says_or_shows_of_itself(troubled: tuple[Factory, list[str]]) -> None:
    real, printed = troubled
    lines = [" ".join(child.cmdline()) for child in real.children()]
    assert len(lines) > 15
    for text in (*real.said, *printed, *lines):
        assert not [canary for canary in _canaries(real) if canary.decode() in text], text


def test_every_process_works_with_the_rights_of_an_actor_and_wanted_no_others(
    troubled: tuple[Factory, list[str]],
) -> None:
    real, _ = troubled
    with Connection(from_url(real.redis_url)) as redis:
        assert _replies(redis, "ACL", "LOG") == []
        (clients,) = [_text(reply) for reply in redis.ask(["CLIENT", "LIST"])]
    users = [dict(word.partition("=")[::2] for word in line.split())["user"] for line in str(clients).splitlines()]
    assert users.count(ACTOR) >= 15


def _replies(redis: Connection, *command: str) -> list[object]:
    reply = next(redis.ask(list(command)))
    assert isinstance(reply, list), reply
    return [_text(one) for one in reply]


def _text(reply: object) -> object:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply
