"""What every process of this machine can see of ours, by `ps`: no password is in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.commands import factory
from deploy.commands.redis_cli import from_url
from deploy.recovery.tools import run

SAID = "not-for-your-eyes"


@pytest.mark.parametrize(
    ("url", "bare", "password"),
    [
        (f"postgresql://me:{SAID}@here:5432/db", "postgresql://me@here:5432/db", SAID),
        (f"postgresql://me:a%40{SAID}@here/db", "postgresql://me@here/db", f"a@{SAID}"),
        (
            f"postgresql://here/db?password={SAID}&sslmode=require&user=me",
            "postgresql://here/db?sslmode=require&user=me",
            SAID,
        ),
        ("postgresql://me@here/db", "postgresql://me@here/db", ""),
    ],
)
def test_a_tool_of_postgres_is_told_its_password_aside(tmp_path: Path, url: str, bare: str, password: str) -> None:
    tool = tmp_path / "pg_tool"
    tool.write_text('#!/bin/sh\necho "$@"\necho "$PGPASSWORD"\n')
    tool.chmod(0o755)
    assert run(tool, "--file=x", database_url=url).splitlines() == [f"--dbname={bare} --file=x", password]


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_redis_cli_of_env_is_told_its_password_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_installed: bool
) -> None:
    tool = tmp_path / "installed"
    tool.write_text('#!/bin/sh\necho "$@"\necho "$REDISCLI_AUTH"\n')
    tool.chmod(0o755)
    monkeypatch.setattr(factory, "_installed_redis_cli", lambda _: tool if is_installed else None)
    made = factory._redis_cli_wrapper(tmp_path / "bin", f"redis://actor:{SAID}@127.0.0.1:1/0")
    assert made.stat().st_mode & 0o077 == 0, "others would read the password"
    (started,) = [line for line in made.read_text().splitlines() if line.startswith("exec ")]
    assert SAID not in started
    done = subprocess.run((made, "PING"), capture_output=True, text=True, check=False, timeout=30)
    if is_installed:
        assert done.stdout.splitlines() == ["-u redis://127.0.0.1:1/0 --user actor PING", SAID]
    else:
        assert done.stderr == "Could not connect to Redis: [Errno 111] Connection refused\n"


def test_an_address_that_redis_cli_does_not_take_is_named_without_its_password() -> None:
    with pytest.raises(ValueError, match="expected redis://") as got:
        from_url(f"rediss://me:{SAID}@here")
    assert SAID not in str(got.value)
