from __future__ import annotations

import pytest

from schema.flow import STAGE
from streams import names
from streams.transport.server import problems

SAFE = {"redis_version": "7.0.15", "cluster_enabled": 0, "maxmemory_policy": "noeviction", "aof_enabled": 1}


def test_a_stage_reads_what_can_start_it_and_a_lane_of_its_own() -> None:
    render = names.stage_subscription(STAGE["render"])
    assert (render.group, render.streams, render.lane) == ("render", ("stream:media", "stream:audio"), "lane:render")
    assert render.sources == ("lane:render", "stream:media", "stream:audio")
    assert names.stage_subscription(STAGE["script"]).streams == ("stream:admitted",)


def test_a_receipt_is_found_by_the_id_that_the_sender_got() -> None:
    assert names.receipt_key("1-0") == "receipt:1-0"
    assert names.control_receipt_key("1-0") == "receipt:control:1-0"


def test_a_safe_server_has_no_problems() -> None:
    assert problems(SAFE) == []
    assert problems(SAFE | {"redis_version": "8.2.1"}) == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("redis_version", "6.2.14", "redis_version is 6.2.14, expected 7.0 or newer"),
        ("cluster_enabled", 1, "cluster-enabled is yes, expected no"),
        ("maxmemory_policy", "volatile-ttl", "maxmemory-policy is volatile-ttl, expected noeviction"),
        ("aof_enabled", 0, "appendonly is no, expected yes"),
    ],
)
def test_an_unsafe_server_is_told_by_its_setting(setting: str, value: object, said: str) -> None:
    (problem,) = problems(SAFE | {setting: value})
    assert problem.startswith(said)
