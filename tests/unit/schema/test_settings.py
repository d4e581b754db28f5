"""Settings: read from the environment, refused by name, and written down in .env.example."""

from pathlib import Path

import pytest

from schema.errors import ConfigurationError
from schema.settings import example
from schema.settings.environment import Settings, read, variables

ENV_EXAMPLE = Path(__file__).parents[3] / ".env.example"


def test_the_example_file_is_up_to_date() -> None:
    assert ENV_EXAMPLE.read_text("utf-8") == example.text(), "run: python -m schema.settings.example > .env.example"


def test_the_example_file_exported_as_it_is_gives_the_defaults() -> None:
    lines = [line for line in example.text().splitlines() if line and not line.startswith("#")]
    environ = dict(line.split("=", 1) for line in lines)
    assert set(environ) == {variable.name for variable in variables()}
    assert read(environ) == Settings()


def test_every_setting_is_described() -> None:
    assert all(variable.description for variable in variables())


def test_a_setting_is_read_by_its_name() -> None:
    settings = read({"YTEMPIRE_MAX_CONCURRENT": "3", "REDIS_URL": "redis://host:1/0", "PATH": "/bin"})
    assert (settings.limits.max_concurrent, settings.servers.redis_url) == (3, "redis://host:1/0")


def test_an_empty_setting_counts_as_not_set() -> None:
    assert read({"YTEMPIRE_MAX_CONCURRENT": ""}) == Settings()


def test_a_wrong_value_is_refused_with_what_was_got_and_what_was_expected() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read({"YTEMPIRE_MAX_CONCURRENT": "many"})
    expected = "YTEMPIRE_MAX_CONCURRENT is 'many': Expected `int`, got `str` (videos in hand at once; default '7')"
    assert (str(refusal.value), refusal.value.hint) == (expected, "see .env.example")


def test_a_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="there is no setting YTEMPIRE_MAX_CONCURENT"):
        read({"YTEMPIRE_MAX_CONCURENT": "3"})
