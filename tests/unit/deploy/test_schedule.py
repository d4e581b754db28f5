from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.chores.schedule import chores, latest
from schema.errors import ConfigurationError
from schema.settings import environment
from schema.settings.operations import Operations

#: A Wednesday.
NOW = datetime(2026, 11, 25, 14, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (":00", datetime(2026, 11, 25, 14, 0, tzinfo=UTC)),
        (":45", datetime(2026, 11, 25, 13, 45, tzinfo=UTC)),
        ("14:30", datetime(2026, 11, 25, 14, 30, tzinfo=UTC)),
        ("18:00", datetime(2026, 11, 24, 18, 0, tzinfo=UTC)),
        ("sun 03:00", datetime(2026, 11, 22, 3, 0, tzinfo=UTC)),
        ("wed 14:30", datetime(2026, 11, 25, 14, 30, tzinfo=UTC)),
        ("wed 14:31", datetime(2026, 11, 18, 14, 31, tzinfo=UTC)),
    ],
)
def test_a_time_names_the_last_moment_that_it_fits(at: str, due: datetime) -> None:
    assert latest(at, NOW) == due


def test_every_default_can_be_understood() -> None:
    assert all(latest(chore.at, NOW) <= NOW for chore in chores(Operations()) if chore.at)


@pytest.mark.parametrize("wrong", ["18", "24:00", "sunday 03:00", "03:00 sun", "* * * * *"])
def test_a_time_that_is_none_is_refused_by_its_name(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="YTEMPIRE_WRAP_AT is"):
        environment.read({"YTEMPIRE_WRAP_AT": wrong})


def test_no_complaint_and_no_look_shows_whom_alerts_go_to() -> None:
    secret = "mailto://me:unseen@example.org"  # noqa: S105 - what must not be shown
    settings = environment.read({"YTEMPIRE_ALERTS_TO": secret})
    assert "unseen" not in repr(settings)
    assert settings.operations.alerts_to == secret
