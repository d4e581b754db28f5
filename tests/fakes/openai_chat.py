"""OpenAI's chat: POST /v1/chat/completions, as the API description behind openai-python 3.57 (2026-11) has it.

It writes a script of as many words as it is asked for, by counting, and bills a token for every four bytes.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import msgspec

from tests.fakes.faults import Provider
from tests.fakes.wire import KEYS, Call, Reply, as_json

MODELS = ("gpt-5.4", "gpt-5.4-mini")
#: A topic with this word is refused by the model, which still bills.
FORBIDDEN = "forbidden"
_SENTENCE = (
    "Here the story of {topic} goes on with part {number}, and anyone who looks closely will find a small surprise."
)
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905 - easier to read


class OpenAIChat:
    """The fake of OpenAI."""

    name: Provider = "openai"

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def answer(self, call: Call) -> Reply:
        """A completion, or the refusal that the request earns."""
        if call.headers.get("authorization") != f"Bearer {KEYS['openai']}":
            return self.failure(401, "wrong_key")
        body = call.json()
        model = str(body.get("model"))
        if model not in MODELS:
            return self.failure(404, "bad_model")
        form = body.get("response_format", {}).get("json_schema", {})
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        if form.get("strict") is not True or not isinstance(limit, int) or "schema" not in form:
            return _error(400, "invalid_request_error", None, "Missing required parameter: 'response_format'.")
        prompt = "\n".join(str(message["content"]) for message in body["messages"])
        content, refusal, reason = _written(str(body["messages"][-1]["content"])), None, "stop"
        if call.is_told("refused") or FORBIDDEN in prompt:
            content, refusal = "", "I'm sorry, I can't help with that."
        if call.is_told("content_filter"):
            content, reason = content[: len(content) // 2], "content_filter"
        if call.is_told("wrong_form"):
            content = '{"title": "Only a title"}'
        tokens = math.ceil(len((content or refusal or "").encode()) / 4)
        if tokens > limit or call.is_told("cut_off"):
            content, tokens, reason = content[: min(limit, tokens // 2) * 4], min(limit, tokens // 2), "length"
        asked = math.ceil((len(prompt.encode()) + len(msgspec.json.encode(form["schema"]))) / 4)
        return Reply(
            200,
            as_json(self._completion(model, content or None, refusal, reason, (asked, tokens))),
            billed={"input_tokens": asked, "output_tokens": tokens},
            model=model,
            headers={"x-request-id": f"req_{next(self._ids):08d}", "openai-version": "2020-10-01"},
        )

    def _completion(
        self, model: str, content: str | None, refusal: str | None, reason: str, used: tuple[int, int]
    ) -> dict[str, Any]:
        asked, tokens = used
        return {
            "id": f"chatcmpl-{next(self._ids):08d}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": f"{model}-2026-03-05",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": refusal, "annotations": []},
                    "logprobs": None,
                    "finish_reason": reason,
                }
            ],
            "usage": {
                "prompt_tokens": asked,
                "completion_tokens": tokens,
                "total_tokens": asked + tokens,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def failure(self, status: int, kind: str) -> Reply:
        """An error object of its form."""
        match kind:
            case "wrong_key":
                told = "Incorrect API key provided: open-ses*************6789. You can find your API key at ..."
                return _error(401, "invalid_request_error", "invalid_api_key", told)
            case "bad_model":
                told = "The model `no-such-model` does not exist or you do not have access to it."
                return _error(404, "invalid_request_error", "model_not_found", told)
            case "no_credit":
                told = "You exceeded your current quota, please check your plan and billing details."
                return _error(429, "insufficient_quota", "insufficient_quota", told)
            case "rate_limited":
                return _error(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests")
            case _:
                told = "The server had an error while processing your request. Sorry about that!"
                return _error(status, "server_error", None, told)


def _error(status: int, kind: str, code: str | None, message: str) -> Reply:
    return Reply(status, as_json({"error": {"message": message, "type": kind, "param": None, "code": code}}))


def _written(asked: str) -> str:
    topic = (re.search(r"^Topic: (.*)$", asked, re.MULTILINE) or ["", "nothing"])[1].rstrip(".?!")
    words = int((re.search(r"about (\d+) spoken words", asked) or ["", "60"])[1])
    sentences = [
        _SENTENCE.format(topic=topic, number=_NUMBERS[number % len(_NUMBERS)])
        for number in range(max(1, round(words / len(_SENTENCE.split()))))
    ]
    scenes = [
        {
            "narration": sentence,
            "heading": f"Part {_NUMBERS[number % len(_NUMBERS)]}",
            "search_terms": [topic.split()[-1], "nature", f"view {number}"],
        }
        for number, sentence in enumerate(sentences)
    ]
    written = {
        "title": topic[:70],
        "description": f"A film about {topic}.",
        "tags": ["film", *topic.lower().split()[:3]],
        "language": "en",
        "scenes": scenes,
    }
    return as_json(written).decode()
