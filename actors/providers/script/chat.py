"""Writes a script with any chat API of OpenAI's kind, and gets it in a fixed form: structured output by JSON schema.

Official client, its own retries off. A local server works by its base URL; it must know `response_format` with a JSON
schema. Resending is blind: the API has no idempotency key, so our id travels as X-Client-Request-Id, by which OpenAI
finds a request in its logs but does not tell it from a second one. Imported only where this provider is configured.
"""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import openai
from msgspec import Meta
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from actors.providers import outcomes, permission
from actors.providers.outcomes import Who
from actors.providers.ports import Answer, Resend, ScriptOrder
from actors.providers.script.prompt import SCHEMA, messages
from actors.providers.weighing import TEXT_MAX_BYTES, at_most
from schema.documents import Scene, Script
from schema.errors import BilledError, PermanentError, PipelineError
from schema.money.reservation import Reservation
from schema.settings.providers import Providers
from schema.wire import CONTROL

#: What a chat template puts around each message, and what a server that renders the schema into the prompt adds.
_FRAME_TOKENS = 64
#: Tokens of a narrated word, the widest languages of the Latin script included; English has about 1.4.
_TOKENS_A_WORD = 3
#: Heading, search terms and brackets of a scene; a scene has about this many words.
_TOKENS_A_SCENE, _WORDS_A_SCENE = 80, 30
#: Title, description, tags and the outer form.
_TOKENS_AROUND = 350
#: What a model that thinks may think, where it is asked to; billed like output.
_TOKENS_OF_THOUGHT = 4000
_WORDS_A_MINUTE = 150
_CONNECT_ERRORS = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")
_REFUSED_CODES = frozenset({"content_policy_violation", "invalid_prompt", "content_filter"})
_TOO_LONG = "context_length_exceeded"
#: A server without keys still gets one: the client insists.
_NO_KEY = "not-needed"


class _WrittenScene(msgspec.Struct, frozen=True):
    narration: str
    heading: str
    search_terms: tuple[str, ...]


class _Written(msgspec.Struct, frozen=True):
    """What the schema asks for."""

    title: str
    description: str
    tags: tuple[str, ...]
    language: str
    scenes: tuple[_WrittenScene, ...]


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


_Tokens = Annotated[int, Meta(ge=0, le=10**9)]


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: _Tokens
    completion_tokens: _Tokens


class _Reply(msgspec.Struct, frozen=True):
    """What we use of a completion. Read by us: the client takes any JSON for one and checks none of its types."""

    choices: Annotated[tuple[_Choice, ...], Meta(min_length=1)]
    usage: _Usage
    id: str = ""


class Chat:
    """A writer who is paid by the token."""

    service: str = "openai"
    resend: Resend = "blind"

    def __init__(self, settings: Providers, *, economy: bool = False) -> None:
        self._settings = settings
        self.model = settings.openai_economy_model if economy else settings.openai_model
        setting = "YTEMPIRE_OPENAI_ECONOMY_MODEL" if economy else "YTEMPIRE_OPENAI_MODEL"
        self._who = Who("the chat API", "OPENAI_API_KEY", f"{setting} ({self.model})", (settings.openai_api_key,))

    def worst_case(self, order: ScriptOrder) -> dict[str, int]:
        """The most tokens this order can use.

        Input: every token of a byte-level vocabulary stands for at least one byte, so the bytes of prompt and schema
        bound it whatever the model; English text uses about a quarter of that. Output: by the length asked for, and
        the request carries this very bound.
        """
        system, user = messages(order.brief, words=_words(order))
        text = system + user + json.dumps(SCHEMA)
        words = _words(order)
        scenes = math.ceil(words / _WORDS_A_SCENE) + 1
        output = _TOKENS_A_WORD * words + _TOKENS_A_SCENE * scenes + _TOKENS_AROUND
        if self._settings.openai_reasoning not in {"omit", "none"}:
            output += _TOKENS_OF_THOUGHT
        return {"input_tokens": len(text.encode()) + _FRAME_TOKENS, "output_tokens": output}

    async def call(self, order: ScriptOrder, reservation: Reservation, out: Path) -> Answer[Script]:  # noqa: ARG002 - no files
        """Have it written; see `Adapter` for what is raised.

        Raises:
            BilledError: the model refused, was cut off, or left the form.
        """
        permission.check(reservation, service=self.service, model=self.model, worst_case=self.worst_case(order))
        limit_s = self._settings.script_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                reply, request_id = await self._send(order, reservation)
        except TimeoutError:
            failure: PipelineError = outcomes.too_slow(self._who, limit_s)
        except APIConnectionError as error:
            failure = self._connection_failure(error)
        except APIStatusError as error:
            failure = self._status_failure(error)
        except (openai.OpenAIError, msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            failure = outcomes.unreadable(self._who, type(error).__name__)
        else:
            return self._answer(reply, request_id)
        raise failure  # outside the handler: an error of the client holds the request, and with it the key

    async def _send(self, order: ScriptOrder, reservation: Reservation) -> tuple[_Reply, str]:
        settings = self._settings
        system, user = messages(order.brief, words=_words(order))
        extra: dict[str, Any] = {settings.openai_limit_field: reservation.units["output_tokens"]}
        if settings.openai_reasoning != "omit":
            extra["reasoning_effort"] = settings.openai_reasoning
        async with AsyncOpenAI(
            api_key=settings.openai_api_key or _NO_KEY,
            # given, so that the client does not look for them in the environment
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            base_url=settings.openai_base_url,
            max_retries=0,
            timeout=Timeout(settings.script_timeout_s, connect=settings.connect_timeout_s),
            # a redirect would carry the key elsewhere
            http_client=DefaultAsyncHttpxClient(follow_redirects=False, event_hooks=at_most(TEXT_MAX_BYTES)),
        ) as client:
            raw = await client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "script", "strict": True, "schema": cast("dict[str, object]", SCHEMA)},
                },
                extra_headers={"X-Client-Request-Id": str(reservation.id)},
                extra_body=extra,
            )
            reply = msgspec.json.decode(raw.content, type=_Reply)
            return reply, raw.headers.get("x-request-id") or reply.id

    def _answer(self, reply: _Reply, request_id: str) -> Answer[Script]:
        """The script of a reply, which is billed whatever it says."""
        used = {"input_tokens": reply.usage.prompt_tokens, "output_tokens": reply.usage.completion_tokens}
        choice = reply.choices[0]
        reason = ""
        again = False
        if choice.message.refusal:
            reason = f"the model refuses to write this: {self._who.clean(choice.message.refusal)}"
        elif choice.finish_reason == "content_filter":
            reason = "the provider's content filter stopped the script"
        elif choice.finish_reason == "length":
            reason, again = f"the script did not fit into {used['output_tokens']} tokens", True
        if not reason:
            try:
                return Answer(_script(choice.message.content or ""), used, request_id)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                reason, again = f"the model left the form that was asked for: {error}", True
        hint = "try another model, or a longer length" if again else "change topic, notes or style"
        raise BilledError(reason, used=used, hint=hint, request_id=request_id, another_may_do=again)

    def _connection_failure(self, error: APIConnectionError) -> PipelineError:
        cause = error.__cause__ or error
        if any(kind.__name__ in _CONNECT_ERRORS for kind in type(cause).__mro__):
            return outcomes.not_reached(self._who, cause)
        if isinstance(error, openai.APITimeoutError):
            return outcomes.too_slow(self._who, self._settings.script_timeout_s)
        return outcomes.broken_off(self._who, cause)

    def _status_failure(self, error: APIStatusError) -> PipelineError:
        body = error.body if isinstance(error.body, dict) else {}
        code, said = outcomes.words_of(body.get("code")), outcomes.words_of(body.get("message"))
        if code == "insufficient_quota":
            return outcomes.no_credit(self._who)
        if code in _REFUSED_CODES:
            return PermanentError(
                f"the provider refuses this topic: {self._who.clean(said)}", hint="change topic, notes or style"
            )
        if code == _TOO_LONG:
            return PermanentError(f"the notes do not fit into {self.model}", hint="shorten the notes")
        return outcomes.from_status(self._who, error.status_code, said, error.response.headers)


def _words(order: ScriptOrder) -> int:
    return max(1, round(order.brief.length_s * _WORDS_A_MINUTE / 60))


def _plain(text: str) -> str:
    """One line that can be spoken, drawn and kept: a model may write control characters, which no record takes."""
    return " ".join(CONTROL.sub(" ", text).split())


def _script(text: str) -> Script:
    """Read what the model wrote; raises MsgspecError, ValueError or RecursionError."""
    written = msgspec.json.decode(text, type=_Written)
    scenes = tuple(
        Scene(
            narration=_plain(scene.narration),
            heading=_plain(scene.heading),
            search_terms=tuple(term for term in map(_plain, scene.search_terms) if term),
        )
        for scene in written.scenes
    )
    title = _plain(written.title)
    if not scenes or not all(any(map(str.isalnum, scene.narration)) for scene in scenes) or not title:
        raise msgspec.ValidationError("Expected a title and at least one scene, each with words")
    return Script(
        title=title,
        scenes=scenes,
        description="\n".join(map(_plain, written.description.splitlines())).strip(),
        tags=tuple(map(_plain, written.tags)),
        language=_plain(written.language) or "en",
    )
