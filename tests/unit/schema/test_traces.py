import re

import pytest

from schema.telemetry.traces import child_of, new_traceparent

FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_new_trace_has_the_form_of_the_w3c() -> None:
    first, second = new_traceparent(), new_traceparent()
    assert FORM.fullmatch(first)
    assert first != second


def test_a_child_keeps_the_trace_and_has_a_span_of_its_own() -> None:
    child = child_of(GIVEN)
    assert child.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert child != GIVEN
    assert FORM.fullmatch(child)


def test_flags_are_passed_on_and_a_later_version_is_understood() -> None:
    assert child_of(GIVEN[:-2] + "00").endswith("-00")
    assert child_of("01" + GIVEN[2:] + "-more").startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "nonsense",
        GIVEN.upper(),
        GIVEN[:-1],
        GIVEN + "-more",
        "ff" + GIVEN[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    ],
)
def test_a_malformed_traceparent_begins_a_new_trace(malformed: str) -> None:
    child = child_of(malformed)
    assert FORM.fullmatch(child)
    assert child.split("-")[1] not in {"4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32}
