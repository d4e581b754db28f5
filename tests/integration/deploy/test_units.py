"""What is deployed, by the programs that will read it, where they are installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.launch import line, procfile
from deploy.launch.plan import PROCFILE, ROOT
from deploy.launch.ports import free_ports

SYSTEMD = ROOT / "deploy/systemd"
NAMES = [entry.name for entry in procfile.read(PROCFILE)]
#: Of 10; half of what an average unit has. What is left is network and a data directory.
MOST_EXPOSED = 20
#: What systemd before 254 does not know, and says so.
NEWER = ("Unknown key 'RestartSteps'", "Unknown key 'RestartMaxDelaySec'")

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("systemd-analyze", *arguments), capture_output=True, text=True, check=False, timeout=60, cwd=SYSTEMD
    )


@needs_systemd
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    units = tmp_path / "units"
    shutil.copytree(SYSTEMD, units)
    for service in units.glob("*.service"):  # programs that are here, for those that will be there
        service.write_text(service.read_text().replace("/opt/ytempire/.venv/bin/python", sys.executable))
    targets = [str(units / name) for name in ("ytempire.target", "ytempire-chores.target")]
    backups = str(units / "ytempire-backup@hourly.timer")
    told = _analyze("verify", "--man=no", "--recursive-errors=yes", *targets, backups)
    ours = [line for line in told.stderr.splitlines() if str(units) in line or "ytempire" in line]
    assert [line for line in ours if not any(newer in line for newer in NEWER)] == []


@needs_systemd
@pytest.mark.parametrize("name", ["ytempire@", "ytempire-backup@", "ytempire-chore@"])
def test_a_unit_may_do_little(name: str) -> None:
    told = _analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", f"./{name}.service")
    assert told.returncode == 0, told.stdout[-200:]


@pytest.mark.skipif(shutil.which("logrotate", path="/usr/sbin:/usr/bin") is None, reason="needs logrotate")
def test_logrotate_copies_a_log_and_leaves_its_writer_the_file(tmp_path: Path) -> None:
    text = (ROOT / "deploy/config/logrotate.conf").read_text()
    text = text.replace("/var/log/pipeline", str(tmp_path / "logs")).replace("    su ytempire ytempire\n", "")
    (tmp_path / "conf").write_text(text)
    (tmp_path / "conf").chmod(0o644)
    (tmp_path / "logs").mkdir(mode=0o755)
    log = tmp_path / "logs/render.log"
    with log.open("a") as writer:
        writer.write("before\n")
        writer.flush()
        program = shutil.which("logrotate", path="/usr/sbin:/usr/bin") or ""
        command = (program, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "conf"))
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert (told.returncode, told.stderr) == (0, "")
        writer.write("after\n")
    assert log.read_text() == "after\n"
    (older,) = (path for path in log.parent.iterdir() if path != log)
    assert older.read_text() == "before\n"


# ---- readiness and signs of life of the real processes


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """The supervisor's end; a short path, since sockets have short names."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind("\0" + f"ytempire-test-{os.getpid()}-{tmp_path.name}")
        made.settimeout(30)
        yield made


def _started(
    name: str, ear: socket.socket, urls: tuple[str, str], folder: Path, port: int = 0
) -> subprocess.Popen[bytes]:
    """The process as a unit starts it; it is watched as closely as in 4 s."""
    address = "@" + ear.getsockname()[1:].decode()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("YTEMPIRE_")}
    environ = {
        **clean,
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": urls[0],
        "DATABASE_URL": urls[1],
        "YTEMPIRE_DATA_DIR": str(folder),
        "YTEMPIRE_METRICS_PORT": str(port or free_ports(len(NAMES))),
        "YTEMPIRE_GATEWAY_PORT": str(free_ports()),
        "YTEMPIRE_BLOCK_S": "0.2",
        "YTEMPIRE_GUARDIAN_TICK_S": "0.2",
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "400000",
    }
    command = (sys.executable, "-m", "deploy.launch.line", name)
    return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _until(ear: socket.socket, word: str) -> None:
    while not ear.recv(1000).decode().startswith(word):
        pass


def _falls_silent(ear: socket.socket, within_s: float = 8.0) -> bool:
    """Whether, before so long, nothing is said for the time that `ear` waits."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        try:
            ear.recv(1000)
        except TimeoutError:
            return True
    return False


def _one_process_tells(name: str, ear: socket.socket, urls: tuple[str, str], folder: Path) -> None:
    process = _started(name, ear, urls, folder)
    try:
        _until(ear, "READY=1")
        for _ in range(3):
            _until(ear, "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        _until(ear, "STOPPING=1")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_worker_tells_that_it_is_ready_that_it_consumes_and_that_it_ends(
    ear: socket.socket, valkey_url: str, database_url: str, tmp_path: Path
) -> None:
    _one_process_tells("script", ear, (valkey_url, database_url), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_process_tells_so(
    name: str, ear: socket.socket, valkey_url: str, database_url: str, tmp_path: Path
) -> None:
    _one_process_tells(name, ear, (valkey_url, database_url), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "away"), [("dispatch", "postgres"), ("script", "postgres"), ("script", "redis")])
def test_a_process_that_waits_for_a_server_is_not_taken_for_one_that_hangs(
    name: str, away: str, ear: socket.socket, valkey_url: str, tmp_path: Path
) -> None:
    redis = "redis://127.0.0.1:1/0" if away == "redis" else valkey_url
    process = _started(name, ear, (redis, "postgresql://nobody@127.0.0.1:1/none"), tmp_path)
    try:
        _until(ear, "EXTEND_TIMEOUT_USEC=")
        _until(ear, "EXTEND_TIMEOUT_USEC=")
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_a_process_whose_loop_hangs_falls_silent_though_its_exporter_answers(
    ear: socket.socket, valkey_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the loop may speak: here its turn stands before a locked table, and all its other threads go on."""
    port = free_ports(len(NAMES))
    process = _started("dispatch", ear, (valkey_url, database_url), tmp_path, port)
    operator = await asyncpg.connect(database_url)
    try:
        await asyncio.to_thread(_until, ear, "WATCHDOG=1")
        lock = operator.transaction()
        await lock.start()
        await operator.execute("LOCK TABLE video_queue IN ACCESS EXCLUSIVE MODE")
        ear.settimeout(2)
        assert await asyncio.to_thread(_falls_silent, ear)
        monkeypatch.setenv("YTEMPIRE_METRICS_PORT", str(port))
        assert [await asyncio.to_thread(line.main, [name, "--answers"]) for name in ("dispatch", "render")] == [0, 1]
        await lock.rollback()
        ear.settimeout(30)
        await asyncio.to_thread(_until, ear, "WATCHDOG=1")
    finally:
        await operator.close()
        process.kill()
        process.wait()
