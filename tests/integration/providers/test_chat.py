"""The chat adapter against the fake of OpenAI: the script, the bound, the models, the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.providers.ports import ScriptOrder
from actors.providers.script.chat import Chat
from schema.documents import Brief, Script
from schema.errors import BilledError
from tests.fakes.orders import bought, reservation
from tests.fakes.running import Fakes


@pytest.mark.parametrize("length_s", [20.0, 60.0, 600.0])
async def test_a_script_of_the_length_that_was_asked_for_fits_its_bound(
    fakes: Fakes, tmp_path: Path, length_s: float
) -> None:
    one = bought(
        "openai", fakes.settings(), ScriptOrder(Brief("The tides", notes="The moon. " * 40, length_s=length_s))
    )
    answer = await one.call(tmp_path)
    script = answer.result
    assert isinstance(script, Script)
    words = sum(len(scene.narration.split()) for scene in script.scenes)
    assert words == pytest.approx(length_s * 2.5, rel=0.06, abs=21)
    assert script.title == "The tides"
    assert all(scene.search_terms and scene.heading for scene in script.scenes)
    bound = one.adapter.worst_case(one.order)
    assert all(answer.used[unit] <= bound[unit] for unit in bound)
    assert bound["output_tokens"] < 400 + 3 * answer.used["output_tokens"]
    assert answer.request_id.startswith("req_")
    assert [line.billed for line in fakes.lines()] == [answer.used]


async def test_the_bound_goes_with_the_request(fakes: Fakes, tmp_path: Path) -> None:
    one = bought("openai", fakes.settings(openai_limit_field="max_tokens"), ScriptOrder(Brief("The tides")))
    small = Chat(fakes.settings())
    small.worst_case = lambda order: {"input_tokens": 1, "output_tokens": 50}  # type: ignore[method-assign] # noqa: ARG005
    with pytest.raises(BilledError, match="did not fit into 50 tokens") as caught:
        await small.call(ScriptOrder(Brief("The tides")), reservation(small, small.worst_case(one.order)), tmp_path)  # type: ignore[arg-type]
    assert caught.value.another_may_do
    assert (await one.call(tmp_path)).used["output_tokens"] > 50


async def test_a_refused_topic_is_billed_and_not_asked_again(fakes: Fakes, tmp_path: Path) -> None:
    order = ScriptOrder(Brief("A forbidden thing"))
    with pytest.raises(BilledError, match="the model refuses to write this: I'm sorry") as caught:
        await bought("openai", fakes.settings(), order).call(tmp_path)
    assert (caught.value.another_may_do, caught.value.hint) == (False, "change topic, notes or style")
    assert [line.billed for line in fakes.lines()] == [caught.value.used]


async def test_economy_asks_the_other_model(fakes: Fakes, tmp_path: Path) -> None:
    await bought("openai", fakes.settings(), economy=True).call(tmp_path)
    await bought("openai", fakes.settings()).call(tmp_path)
    assert [line.model for line in fakes.lines()] == ["gpt-5.4-mini", "gpt-5.4"]


async def test_nothing_of_the_clients_own_environment_counts(
    fakes: Fakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("OPENAI_ORG_ID", "another")
    assert (await bought("openai", fakes.settings()).call(tmp_path)).used


def test_thinking_is_in_the_bound(fakes: Fakes) -> None:
    order = ScriptOrder(Brief("The tides"))
    plain = Chat(fakes.settings()).worst_case(order)["output_tokens"]
    assert Chat(fakes.settings(openai_reasoning="low")).worst_case(order)["output_tokens"] > plain


def test_no_text_has_more_tokens_than_its_bound(fakes: Fakes) -> None:
    chat = Chat(fakes.settings())
    plain = chat.worst_case(ScriptOrder(Brief("a")))["input_tokens"]
    assert chat.worst_case(ScriptOrder(Brief("a", notes="\u732b" * 100)))["input_tokens"] >= plain + 300
