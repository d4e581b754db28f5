"""What was bought is found again, and who wants the same at the same time waits."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from schema.documents import ArtifactRef
from schema.money.bought import (
    Before,
    BeingBought,
    Bought,
    Buyer,
    Claimed,
    Found,
    InputKey,
    StoredFile,
    Superseded,
    input_key,
)
from schema.money.calls import Ask, Reserved
from schema.money.ledger import Ledger
from schema.money.statement import Statement
from schema.record.postgres import Postgres
from tests.integration.money.conftest import ask, claimed, refusal, run_stage, state, value

KEY = InputKey("ab" * 32)
FILES = (StoredFile("voice/0.wav", ArtifactRef("bought/x/0/voice/0.wav", 3, "00")),)
RESULT = b'{"result":{"text":"\\u0000 stays"},"used":{}}'


class _Order(msgspec.Struct, frozen=True):
    text: str
    count: int = 1


@pytest.fixture
def bought(postgres: Postgres) -> Bought:
    return Bought(postgres)


async def _bought(ledger: Ledger, bought: Bought, key: InputKey = KEY, video: str = "v") -> Ask:
    asked = msgspec.structs.replace(ask("0.5", video=video, input_hash=key.hash), take=key.take)
    await claimed(bought, key, asked)
    assert isinstance(await ledger.reserve(asked), Reserved)
    await ledger.sent(asked.id, 1)
    await ledger.settle(asked.id, Decimal("0.5"), used={}, result=RESULT, files=FILES)
    return asked


def test_an_input_is_known_by_all_that_it_says() -> None:
    key = input_key("openai", "m", _Order("a"))
    assert key == input_key("openai", "m", _Order("a", count=1))
    others = [
        input_key("openai", "m", _Order("b")),
        input_key("openai", "m", _Order("a", count=2)),
        input_key("openai", "n", _Order("a")),
        input_key("google", "m", _Order("a")),
    ]
    assert len({key.hash, *(other.hash for other in others)}) == 5
    assert input_key("openai", "m", _Order("a"), take=1) == InputKey(key.hash, 1)


async def test_what_was_bought_is_found_by_every_video(ledger: Ledger, postgres: Postgres, bought: Bought) -> None:
    await run_stage(postgres)
    await run_stage(postgres, "w")
    await _bought(ledger, bought)
    assert await bought.claim(KEY, Buyer("w", "script", 1), uuid4()) == Found(RESULT, FILES)
    assert isinstance(await bought.claim(InputKey(KEY.hash, 1), Buyer("w", "script", 1), uuid4()), Claimed)
    uses = await value(postgres, "SELECT array_agg(video_id ORDER BY video_id) FROM money.uses")
    assert uses == ["v", "w"]


async def test_who_wants_what_is_being_bought_waits_and_a_claim_given_back_is_free(
    postgres: Postgres, bought: Bought
) -> None:
    await run_stage(postgres)
    await run_stage(postgres, "w")
    asked = ask(input_hash=KEY.hash)
    for _ in range(2):  # its own claim, repeated, is its own
        assert await claimed(bought, KEY, asked) == Claimed(None)
    others = Buyer("w", "script", 1), uuid4()
    assert await bought.claim(KEY, *others) == BeingBought("v")
    assert await bought.claim(KEY, Buyer("v", "script", 1), uuid4()) == BeingBought("v")  # twice in one attempt
    await bought.let_go(KEY, uuid4())  # not theirs to give
    assert await bought.claim(KEY, *others) == BeingBought("v")
    await bought.let_go(KEY, asked.id)
    assert await bought.claim(KEY, *others) == Claimed(None)


async def test_a_claim_of_an_attempt_that_is_over_holds_nobody_up(
    ledger: Ledger, postgres: Postgres, bought: Bought
) -> None:
    await run_stage(postgres)
    await run_stage(postgres, "w")
    asked = ask(input_hash=KEY.hash)
    await claimed(bought, KEY, asked)
    await ledger.reserve(asked)
    await run_stage(postgres, attempt=2)
    heir = ask(video="w", input_hash=KEY.hash)
    assert await claimed(bought, KEY, heir) == Claimed(None)
    assert await bought.claim(KEY, Buyer("v", "script", 1), uuid4()) == Superseded()
    assert isinstance(await ledger.reserve(heir), Reserved)


async def test_a_newer_attempt_turns_what_the_older_left_and_learns_of_it(
    ledger: Ledger, postgres: Postgres, bought: Bought
) -> None:
    await run_stage(postgres)
    asked = ask(input_hash=KEY.hash)
    await claimed(bought, KEY, asked)
    await ledger.reserve(asked)
    await ledger.sent(asked.id, 1)
    await run_stage(postgres, attempt=2)
    heir = ask(attempt=2, input_hash=KEY.hash)
    assert await claimed(bought, KEY, heir) == Claimed(Before(asked.id, "unknown", is_ours=True))
    assert await state(postgres, asked.id) == "unknown"
    assert await ledger.reserve(heir) == Reserved(second_purchase=True)


async def test_a_reserve_of_a_newer_attempt_frees_all_claims_of_the_older(
    ledger: Ledger, postgres: Postgres, bought: Bought
) -> None:
    await run_stage(postgres)
    await claimed(bought, KEY, ask(input_hash=KEY.hash))
    await run_stage(postgres, attempt=2)
    assert isinstance(await ledger.reserve(ask("0.1", attempt=2)), Reserved)
    assert await value(postgres, "SELECT state FROM money.purchases") == "free"


async def test_what_was_struck_off_is_bought_again_and_shown_as_a_second_purchase(
    ledger: Ledger, postgres: Postgres, bought: Bought, statement: Statement
) -> None:
    await run_stage(postgres)
    first = await _bought(ledger, bought)
    assert await bought.strike_off_all("v", "script") == 1
    assert not await bought.strike_off(KEY)
    again = ask("0.5", input_hash=KEY.hash)
    assert await claimed(bought, KEY, again) == Claimed(Before(first.id, "settled", is_ours=True))
    assert await ledger.reserve(again) == Reserved(second_purchase=True)
    assert [call.second_purchase for call in await statement.calls("v")] == [False, True]


async def test_a_fresh_take_is_no_second_purchase(ledger: Ledger, postgres: Postgres, bought: Bought) -> None:
    await run_stage(postgres)
    await _bought(ledger, bought)
    await _bought(ledger, bought, InputKey(KEY.hash, 1))
    assert await value(postgres, "SELECT count(*) FROM money.reservations WHERE second_purchase") == 0


async def test_the_first_result_stays_when_a_zombies_comes_late(
    ledger: Ledger, postgres: Postgres, bought: Bought
) -> None:
    await run_stage(postgres)
    zombie = ask(input_hash=KEY.hash)
    await claimed(bought, KEY, zombie)
    await ledger.reserve(zombie)
    await ledger.sent(zombie.id, 1)
    await run_stage(postgres, attempt=2)
    heir = ask(attempt=2, input_hash=KEY.hash)
    await claimed(bought, KEY, heir)
    await ledger.reserve(heir)
    await ledger.sent(heir.id, 2)
    await ledger.settle(heir.id, Decimal(1), used={}, result=RESULT, files=FILES)
    await ledger.settle(zombie.id, Decimal(1), used={}, result=b'{"late":1}')
    assert await bought.claim(KEY, Buyer("v", "script", 2), uuid4()) == Found(RESULT, FILES)
    assert await value(postgres, "SELECT sum(amount) FROM pipeline_costs") == 2


async def test_a_second_purchase_must_fit_what_is_left(ledger: Ledger, postgres: Postgres, bought: Bought) -> None:
    await run_stage(postgres)
    asked = ask("2.00", input_hash=KEY.hash)
    await claimed(bought, KEY, asked)
    await ledger.reserve(asked)
    await ledger.sent(asked.id, 1)
    await ledger.unknown(asked.id, "timeout")
    again = ask("2.00", input_hash=KEY.hash)
    assert await claimed(bought, KEY, again) == Claimed(Before(asked.id, "unknown", is_ours=True))
    assert await refusal(ledger, again) == "over_video"
