from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.commands.disaster import settings_of
from deploy.launch import data_directory
from schema.errors import ConfigurationError


def test_addresses_are_known_while_it_is_held_and_forgotten_after(tmp_path: Path) -> None:
    with data_directory.held(tmp_path / "data") as hold:
        hold.tell("redis://r", "postgresql://p")
        found = data_directory.addresses(tmp_path / "data")
        assert found is not None
        assert (found.redis_url, found.database_url) == ("redis://r", "postgresql://p")
    assert data_directory.addresses(tmp_path / "data") is None


def test_a_second_one_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with data_directory.held(tmp_path) as hold:
        hold.tell("redis://r", "postgresql://p")
        with pytest.raises(ConfigurationError, match="a factory already runs"), data_directory.held(tmp_path):
            pass
        assert data_directory.addresses(tmp_path) is not None
    with data_directory.held(tmp_path) as again:
        assert not again.was_killed


def test_a_factory_that_was_killed_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "factory.json").write_text('{"pid": 999999999, "redis_url": "r", "database_url": "d"}\n')
    assert data_directory.addresses(tmp_path) is None
    with data_directory.held(tmp_path) as hold:
        assert hold.was_killed


def test_a_full_disk_is_refused_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    refused = pytest.raises(ConfigurationError, match="has 5 MiB free, a factory needs 300 MiB")
    with refused, data_directory.held(tmp_path):
        pass


def test_passwords_in_addresses_are_for_the_owners_eyes(tmp_path: Path) -> None:
    with data_directory.held(tmp_path):
        assert (tmp_path / "factory.json").stat().st_mode & 0o077 == 0


def test_a_shell_without_the_factorys_settings_finds_where_it_keeps_its_backups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YTEMPIRE_BACKUPS_DIR", raising=False)
    with data_directory.held(tmp_path / "data") as hold:
        hold.tell("redis://here", "postgresql://here", str(tmp_path / "elsewhere"))
        assert settings_of(tmp_path / "data", None).backups_folder == tmp_path / "elsewhere"
        assert settings_of(tmp_path / "data", tmp_path / "named").backups_folder == tmp_path / "named"
        monkeypatch.setenv("YTEMPIRE_BACKUPS_DIR", str(tmp_path / "set"))
        assert settings_of(tmp_path / "data", None).backups_folder == tmp_path / "set"
