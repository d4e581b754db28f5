"""What nobody may be shown: by name, so that a setting added tomorrow is asked about."""

from __future__ import annotations

import re

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
