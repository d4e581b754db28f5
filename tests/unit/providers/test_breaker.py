"""A circuit: closed, open after failures in a row, half-open for one probe whose outcome decides."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.providers.breaker import Circuit, CircuitOpenError, Circuits
from schema.errors import (
    ArtifactError,
    PermanentError,
    RateLimitedError,
    RecordUnavailableError,
    RetryableError,
    UnknownOutcomeError,
)
from tests.fakes.clocks import HandClock


def call(circuit: Circuit, error: BaseException | None = None) -> None:
    with circuit.guard():
        if error is not None:
            raise error


def state(circuit: Circuit) -> str:
    return circuit.state


def fail(circuit: Circuit, times: int, error: Exception | None = None) -> None:
    for _ in range(times):
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever was raised in it
            call(circuit, error or RetryableError("down"))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def circuit(clock: HandClock) -> Circuit:
    return Circuit("openai", clock, failures=3, open_s=30)


def test_failures_in_a_row_open_it(circuit: Circuit) -> None:
    fail(circuit, 2)
    call(circuit)
    fail(circuit, 2)
    assert state(circuit) == "closed"
    fail(circuit, 1)
    assert state(circuit) == "open"
    with pytest.raises(CircuitOpenError, match="openai failed 3 times in a row and is left alone for 30 s"):
        call(circuit)


def test_a_probe_that_succeeds_closes_it(circuit: Circuit, clock: HandClock) -> None:
    fail(circuit, 3)
    clock.advance(timedelta(seconds=30))
    assert state(circuit) == "half-open"
    call(circuit)
    assert state(circuit) == "closed"


def test_a_probe_that_fails_opens_it_again(circuit: Circuit, clock: HandClock) -> None:
    fail(circuit, 3)
    clock.advance(timedelta(seconds=30))
    fail(circuit, 1)
    assert state(circuit) == "open"
    clock.advance(timedelta(seconds=29))
    assert state(circuit) == "open"


def test_each_probe_that_fails_doubles_the_while_up_to_ten_of_it(circuit: Circuit, clock: HandClock) -> None:
    fail(circuit, 3)
    whiles = []
    for _ in range(5):
        with pytest.raises(CircuitOpenError) as got:
            call(circuit)
        whiles.append(got.value.after_s)
        clock.advance(timedelta(seconds=got.value.after_s))
        fail(circuit, 1)
    assert whiles == [30, 60, 120, 240, 300]
    clock.advance(timedelta(seconds=300))
    call(circuit)
    fail(circuit, 3)
    with pytest.raises(CircuitOpenError) as got:
        call(circuit)
    assert got.value.after_s == 30


def test_only_one_call_probes(circuit: Circuit, clock: HandClock) -> None:
    fail(circuit, 3)
    clock.advance(timedelta(seconds=30))
    with circuit.guard(), pytest.raises(CircuitOpenError):
        call(circuit)
    assert state(circuit) == "closed"


def test_a_halt_in_a_probe_decides_nothing(circuit: Circuit, clock: HandClock) -> None:
    fail(circuit, 3)
    clock.advance(timedelta(seconds=30))
    with pytest.raises(KeyboardInterrupt):
        call(circuit, KeyboardInterrupt())
    assert state(circuit) == "half-open"
    call(circuit)


@pytest.mark.parametrize("error", [PermanentError("refused"), ArtifactError("ours"), RecordUnavailableError("ours")])
def test_what_says_nothing_of_the_providers_health_does_not_count(circuit: Circuit, error: Exception) -> None:
    fail(circuit, 9, error)
    assert state(circuit) == "closed"


@pytest.mark.parametrize("error", [UnknownOutcomeError("cut"), RateLimitedError("busy")])
def test_an_unknown_outcome_and_a_rate_limit_count(circuit: Circuit, error: Exception) -> None:
    fail(circuit, 3, error)
    assert state(circuit) == "open"


def test_it_stays_open_as_long_as_the_provider_asks(circuit: Circuit, clock: HandClock) -> None:
    fail(circuit, 3, RateLimitedError("busy", retry_after_s=100))
    clock.advance(timedelta(seconds=99))
    assert state(circuit) == "open"
    clock.advance(timedelta(seconds=1))
    assert state(circuit) == "half-open"


def test_each_provider_has_its_own(clock: HandClock) -> None:
    circuits = Circuits(clock, failures=1, open_s=30)
    fail(circuits.of("openai"), 1)
    assert (state(circuits.of("openai")), state(circuits.of("pexels"))) == ("open", "closed")
