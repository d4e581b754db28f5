"""What nobody may be shown: by name, so that a setting added tomorrow is asked about."""

from __future__ import annotations

import re

import pytest

from deploy.recovery import dumps
from schema.settings import environment
from schema.settings.environment import variables
from schema.settings.masking import MASK, SECRETS, masked

SAID = "not-for-your-eyes"
#: They sound like it and are none: how long something is, and where a file of keys lies.
_NO_SECRET = {"google_application_credentials"}


def test_every_setting_that_sounds_like_a_secret_is_one() -> None:
    sounds = re.compile(r"(_key|token|secret|passw|credential)")
    found = {one.field for one in variables() if sounds.search(one.field)} - _NO_SECRET
    assert found <= SECRETS
    assert {one.field for one in variables()} >= SECRETS


def test_settings_show_themselves_without_secrets_and_passwords() -> None:
    environ = {one.name: SAID for one in variables() if one.field in SECRETS}
    environ |= {"DATABASE_URL": f"postgresql://me:{SAID}@here/db", "REDIS_URL": f"redis://:{SAID}@here"}
    settings = environment.read(environ)
    assert SAID not in repr(settings)
    assert repr(settings).count(f"'{MASK}'") == len(SECRETS)
    assert "postgresql://me:***@here/db" in repr(settings)


def test_an_address_for_alerts_is_masked_whole_since_tokens_are_in_its_path() -> None:
    assert masked("alerts_to", f"tgram://{SAID}/chat") == MASK
    assert masked("alerts_to", "") == ""
    assert masked("data_dir", "data") == "data"


def test_a_backup_of_the_settings_leaves_every_secret_out() -> None:
    assert set(dumps._KEPT_BACK) >= SECRETS


@pytest.mark.parametrize(
    "address",
    [
        f"redis://:{SAID}@here:6379/0",
        f"postgresql://me:{SAID}/x@here/db",
        f"postgresql://me:x#{SAID}?y@here/db",
        f"postgresql://me:a@{SAID}@here/db",
        f"postgresql://here/db?user=me&password={SAID}&sslmode=require",
        f"s3://key:{SAID}@bucket",
        f"redis://u:{SAID}@[here",
    ],
)
def test_an_address_that_cannot_be_parsed_shows_no_password_either(address: str) -> None:
    assert SAID not in str(masked("redis_url", address))
    assert "here" in str(masked("redis_url", address)) or "bucket" in address


@pytest.mark.parametrize("address", ["redis://127.0.0.1:6379/0", "postgresql://me@here:5432/db?sslmode=require"])
def test_an_address_without_a_password_is_shown_as_it_is(address: str) -> None:
    assert masked("database_url", address) == address


def test_a_child_that_decodes_files_of_strangers_is_told_no_secret_and_no_way_in() -> None:
    environ = {one.name: SAID for one in variables() if one.field in SECRETS}
    environ |= {"REDIS_URL": f"redis://:{SAID}@here", "DATABASE_URL": f"postgresql://me:{SAID}@here/db"}
    environ |= {"YTEMPIRE_DATABASE_DIRECT_URL": SAID, "GOOGLE_APPLICATION_CREDENTIALS": SAID, "PGPASSWORD": SAID}
    assert environment.without_secrets({**environ, "PATH": "/bin", "YTEMPIRE_GPU": "cpu"}) == {
        "PATH": "/bin",
        "YTEMPIRE_GPU": "cpu",
    }


def test_what_the_log_must_hide_is_every_secret_and_every_password() -> None:
    environ = {
        "OPENAI_API_KEY": "plain-words-one",
        "YTEMPIRE_ALERTS_TO": "json://a/two mailto://me:three@b",
        "DATABASE_URL": "postgresql://me:four@here/db",
        "REDIS_URL": "redis://here",
    }
    found = environment.secrets(environment.read(environ))
    assert found == {"plain-words-one", "json://a/two", "mailto://me:three@b", "four"}
