"""Who may do what on Redis: the shipped file on Debian's server, and our own Valkey."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.commands.redis_cli import Connection, from_url
from deploy.commands.redis_replies import Reply, ServerError
from deploy.launch import bus_users, probes, valkey
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from deploy.launch.program import Program, running
from streams import names, receipts
from streams.publish import publish
from streams.transport.connection import passes
from streams.transport.over_redis import RedisTransport

ACL = ROOT / "deploy/config/users.acl"
PASSWORDS = {"actor": "act-or_1", "operator": "op-era_2", "producer": "pro-du_3"}
NAMES = tuple(PASSWORDS)


def test_the_shipped_file_says_what_the_table_says_and_lets_nobody_in() -> None:
    text = ACL.read_text("utf-8")
    assert text == bus_users.shipped(), "python -m deploy.launch.bus_users > deploy/config/users.acl"
    assert not re.search(r" [>#]|nopass", text)


@pytest.fixture(scope="module", params=["redis-server", "valkey"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server as compose starts it, with the shipped file and passwords; a redis-server is skipped on a laptop."""
    binary = shutil.which("redis-server") if request.param == "redis-server" else str(valkey.binary())
    if binary is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no redis-server on PATH")
    folder, found = tmp_path_factory.mktemp("users"), free_ports()
    server = Program(
        name="redis",
        argv=(
            *("sh", str(ROOT / "deploy/compose/redis.sh"), str(ACL), binary, str(ROOT / "deploy/config/redis.conf")),
            *("--port", str(found), "--dir", str(folder)),
        ),
        environ={f"REDIS_{name.upper()}_PASSWORD": text for name, text in PASSWORDS.items()},
        # it is there when it says that nobody without a name is wanted
        answers=partial(_refuses, found),
    )
    with running(server, folder / "log"):
        yield found


async def _refuses(port: int) -> bool:
    said = await probes.ask(port, b"PING\r\n", until=lambda answer: answer.endswith(b"\r\n"))
    return said.startswith(b"-NOAUTH")


def _url(port: int, name: str) -> str:
    return f"redis://{name}:{PASSWORDS[name]}@127.0.0.1:{port}/0"


def _ask(port: int, name: str, line: str) -> Reply:
    with Connection(from_url(_url(port, name))) as connection:
        return next(connection.ask(shlex.split(line)))


def _is_refused(reply: Reply) -> bool:
    """By the table, inside a script too; or by the server, whoever asks."""
    said = r"NOPERM|ACL failure|user executing the script can't|command not allowed"
    return isinstance(reply, ServerError) and re.search(said, reply.text) is not None


#: What each must be able to do, and a way to each thing that it must not.
MAY = {
    "producer": (f"XADD {names.INTAKE} * topic Rivers", "HGETALL receipt:1700000000000-0"),
    "operator": (
        f"XADD {names.CONTROL} * type halt reason smoke",
        f"XADD {names.INTAKE} * topic Rivers",
        "XREVRANGE stream:dead + - COUNT 10",
        "XINFO GROUPS stream:intake",
        "HGETALL receipt:control:1-0",
        "zcard queue:priority",
        "SMEMBERS queue:processing",
        "XLEN stream:dead",
        "CONFIG GET maxmemory-policy",
        "INFO",
        "CLIENT LIST",
        "FLUSHDB",
    ),
    "actor": ("EVAL \"return(redis.call('PING'))\" 0", "XADD stream:videos * a b", "XADD lane:render * a b", "INFO"),
}
MAY_NOT = {
    "producer": (
        f"XADD {names.CONTROL} * type resume",
        "XADD stream:videos * type video.completed",
        f"XRANGE {names.INTAKE} - +",
        f"DEL {names.INTAKE}",
        f"XTRIM {names.INTAKE} MAXLEN 0",
        "HGETALL receipt:control:1-0",
        "HGETALL queue:priority",
        "HSET receipt:1-0 video x",
        "EVAL return(1) 0",
        "KEYS *",
        "INFO",
        "CONFIG GET *",
    ),
    "operator": (
        "XADD stream:videos * type video.completed",
        "XADD stream:scripts * type script.written",
        "HSET receipt:1-0 video x",
        "ZADD queue:priority 1 x",
        "DEL stream:control",
        "CONFIG SET dir /tmp",
        "FLUSHALL",
        "EVAL return(1) 0",
        "SHUTDOWN NOSAVE",
    ),
    "actor": (
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG SET maxmemory-policy allkeys-lru",
        "CONFIG GET *",
        "SHUTDOWN NOSAVE",
        "KEYS *",
        "BGSAVE",
        "SET session:1 x",
        "GET session:1",
        "EVAL \"return(redis.call('FLUSHALL'))\" 0",
        "EVAL \"return(redis.call('GET','session:1'))\" 0",
        "CLIENT KILL TYPE normal",
    ),
}
#: Nobody's.
NEVER = (
    "DEBUG SLEEP 0",
    "MODULE LIST",
    "REPLICAOF NO ONE",
    "SLAVEOF NO ONE",
    "ACL SETUSER x on nopass +@all ~*",
    "ACL DELUSER operator",
    "CONFIG REWRITE",
    "MIGRATE 127.0.0.1 1 k 0 1",
    "FUNCTION FLUSH",
)


@pytest.mark.parametrize("name", NAMES)
def test_each_user_can_do_what_it_must_and_nothing_else(port: int, name: str) -> None:
    for line in MAY[name]:
        assert not isinstance(_ask(port, name, line), ServerError), line
    for line in (*MAY_NOT[name], *NEVER, f"ACL SETUSER {name} +@all"):
        reply = _ask(port, name, line)
        assert _is_refused(reply), (line, reply)


@pytest.mark.parametrize("line", ["PING", "INFO", "XADD stream:intake * topic Rivers", "HELLO 3"])
def test_nobody_without_a_name_is_let_in(port: int, line: str) -> None:
    with Connection(from_url(f"redis://127.0.0.1:{port}/0")) as connection:
        reply = next(connection.ask(line.split()))
    assert isinstance(reply, ServerError)
    assert reply.text.startswith("NOAUTH")


def test_a_wrong_password_and_an_empty_one_are_refused(port: int) -> None:
    for wrong in ("wrong", "%20"):
        with pytest.raises(ConnectionRefusedError, match="AUTH failed"):
            Connection(from_url(f"redis://operator:{wrong}@127.0.0.1:{port}/0"))


def test_the_line_that_halts_works_verbatim_for_the_operator(port: int) -> None:
    (line,) = re.findall(
        r"^ +redis-cli (XADD stream:control '\*' type halt)$", (ROOT / "docs/halt.md").read_text(), re.MULTILINE
    )
    done = subprocess.run(
        (sys.executable, "-m", "deploy.commands.redis_cli", "-p", str(port), "--user", "operator", *shlex.split(line)),
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": "", "REDISCLI_AUTH": PASSWORDS["operator"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert re.fullmatch(r"[0-9]+-[0-9]+\n", done.stdout), done.stdout


def test_a_process_with_the_rights_of_a_producer_does_not_wait_for_more(port: int) -> None:
    transport = RedisTransport(_url(port, "producer"), process="test", lease_s=5.0)
    try:
        with pytest.raises(Exception, match=r"(?i)no permissions|NOPERM") as got:
            publish(transport, names.INTAKE, {"topic": "Rivers"})
        assert not passes(got.value)
    finally:
        transport.close()


@pytest.mark.parametrize("text", ["a b", "a>b", "x' +@all", "%s"])
def test_a_password_that_would_say_more_than_itself_starts_no_server(tmp_path: Path, text: str) -> None:
    done = subprocess.run(
        ("sh", str(ROOT / "deploy/compose/redis.sh"), str(ACL), "echo", "started"),
        env={**os.environ, "REDIS_ACTOR_PASSWORD": text, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "the password of actor must have only" in done.stderr


def test_the_line_of_the_docs_gives_a_password_to_its_user_alone() -> None:
    (line,) = re.findall(
        r'^ +(sed ".*" deploy/config/users\.acl) >', (ROOT / "docs/deploy.md").read_text(), re.MULTILINE
    )
    done = subprocess.run(
        ("sh", "-c", line), cwd=ROOT, env={**os.environ, "PASSWORD": "a1"}, capture_output=True, text=True, check=True
    )
    digest = hashlib.sha256(b"a1").hexdigest()
    assert done.stdout == ACL.read_text("utf-8").replace("user actor ", f"user actor #{digest} ")


# ---- our own


def test_on_this_machine_the_runbooks_lines_need_no_name(valkey_url: str) -> None:
    lines = re.findall(r"^redis-cli (.*)$", (ROOT / "docs/runbook.md").read_text("utf-8"), re.MULTILINE)
    assert len(lines) > 6
    with Connection(from_url(valkey_url)) as connection:
        for line in lines:
            reply = next(connection.ask(shlex.split(line)))
            assert not isinstance(reply, ServerError) or "in progress" in reply.text, (line, reply)
        for line in NEVER:
            assert _is_refused(next(connection.ask(line.split()))), line


def test_a_valkey_of_ours_takes_its_actor_by_its_password_and_keeps_the_file_to_itself(tmp_path: Path) -> None:
    port = free_ports()
    with running(valkey.valkey(tmp_path / "valkey", port, actor_password="a1"), tmp_path / "log"):  # noqa: S106 - a test's
        transport = RedisTransport(valkey.url(port, "a1"), process="test", lease_s=5.0)
        entry_id = publish(transport, names.INTAKE, {"topic": "Rivers"})
        receipts.write(transport, names.receipt_key(entry_id), {"video": "v"})
        assert receipts.read(transport, names.receipt_key(entry_id)) == {"video": "v"}
        transport.close()
        for other in ("redis://actor:a2", "redis://actor:", "redis://operator:a1", "redis://producer:a1"):
            options = from_url(f"{other}@127.0.0.1:{port}/0")
            if options.password:
                with pytest.raises(ConnectionRefusedError):
                    Connection(options)
    file = tmp_path / "valkey/users.acl"
    assert file.stat().st_mode & 0o077 == 0
    assert "a1" not in re.sub(r"#[0-9a-f]{64}", "", file.read_text())
