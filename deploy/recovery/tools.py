"""The programs of Postgres that make and read backups, chosen by version, and run with an end to waiting.

A pg_dump refuses a server that is newer than itself: the tools of the server's own version come first, then the next
newer ones. What a program says when it fails becomes the error; a program that is ended leaves no child behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from deploy.launch.postgres import tools_folder
from schema.errors import ConfigurationError, PipelineError

_ELSEWHERE: Final = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
#: A program that runs for longer than this hangs.
_LONGEST_S: Final = 6 * 3600.0
_SHOWN_CHARS: Final = 600


class ToolError(PipelineError):
    """A program of Postgres failed."""


def tool(name: str, server_major: int) -> Path:
    """`pg_dump`, `pg_restore` or `pg_basebackup` for a server of this version.

    Raises ConfigurationError, saying which versions there are, where none is new enough.
    """
    found: dict[int, Path] = {}
    for folder in _folders():
        if os.access(folder / name, os.X_OK) and (major := _major(folder / name)) is not None:
            found.setdefault(major, folder / name)
    if usable := sorted(major for major in found if major >= server_major):
        return found[usable[0]]
    have = ", ".join(f"{path} is {major}" for major, path in sorted(found.items())) or "there is none here"
    raise ConfigurationError(
        f"the server is Postgres {server_major}, and no {name} here is of that version or newer: {have}",
        hint=f"install the client programs of Postgres {server_major}, or name their folder in PG_BIN",
    )


def run(*command: str | Path, database_url: str = "") -> str:
    """Run a program to its end, on this database if one is named; returns what it printed.

    A password travels in the environment, which other users of this machine cannot read as they can a command line.

    Raises ToolError with what it complained of.
    """
    words = [str(word) for word in command]
    secret: dict[str, str] = {}
    if database_url:
        bare, secret = _apart(database_url)
        words.insert(1, f"--dbname={bare}")
    try:
        done = subprocess.run(
            words,
            env={**os.environ, "LC_ALL": "C", **secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_LONGEST_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{Path(words[0]).name} does not run: {error}") from error
    if done.returncode:
        raise ToolError(
            f"{Path(words[0]).name} failed: {_said(done.stderr) or f'code {done.returncode}'}",
            hint=_hint(done.returncode),
        )
    return done.stdout


def _apart(database_url: str) -> tuple[str, dict[str, str]]:
    """An address without its password, and the password as Postgres' programs take it from their environment."""
    parts = urlsplit(database_url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    passwords = [text for name, text in query if name == "password"]
    rest = urlencode([(name, text) for name, text in query if name != "password"])
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    host = parts.netloc.rpartition("@")[2]
    bare = parts._replace(netloc=f"{user}@{host}" if user else host, query=rest).geturl()
    found = [*passwords, *([unquote(password)] if password else [])]
    return bare, {"PGPASSWORD": found[0]} if found else {}


def _folders() -> Iterator[Path]:
    if chosen := os.environ.get("PG_BIN"):
        yield Path(chosen)
    with contextlib.suppress(ConfigurationError):  # a machine without our Postgres brings its own tools
        yield tools_folder()
    yield from (Path(folder) for folder in os.get_exec_path() if folder)
    for place in _ELSEWHERE:
        yield from sorted(Path(place).glob("*/bin"))


@cache
def _major(program: Path) -> int | None:
    try:
        said = subprocess.run((program, "--version"), capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\b(\d+)(?:\.|beta|rc|devel|\b)", said.rpartition(") ")[2])
    return int(version[1]) if version else None


def _hint(code: int) -> str:
    return "is the disk full?" if code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ) else ""


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[:_SHOWN_CHARS]


def gzip() -> Path:
    """What packs the archive of the write-ahead log."""
    if (found := shutil.which("gzip")) is None:
        raise ConfigurationError("gzip is missing: the write-ahead log is archived with it", hint="install gzip")
    return Path(found)
