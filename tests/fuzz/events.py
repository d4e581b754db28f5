"""Entries of the streams as a stranger may send them: to intake, to control, as facts, as CloudEvents.

Hypothesis makes them, so a failing one is shrunk to its smallest. What is accepted must be storable and read alike
again; what is refused must say why, and its hint must be a right line.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import hypothesis
import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from actors import intake
from actors.providers.script.samples import sample_for
from deploy.gateway.submissions import fields_of
from schema.documents import Brief
from schema.errors import RefusedError
from schema.events import command, fact, notice, request
from schema.settings.limits import Limits
from schema.settings.providers import Providers
from tests.fuzz import cases
from tests.fuzz.judging import Tally, judged

Raw = dict[bytes, bytes]
#: Cases of one number: hypothesis wants some to learn from.
BATCH: Final = 200
LIMIT_S: Final = 5.0
LIMITS: Final = Limits()
#: A value of so many bytes is large enough.
_LARGEST: Final = 10_000_000
_NOTES: Final = b"Octopuses have three hearts. Two of them serve the gills, and one serves the body. " * 3
_INTAKE: Final = (
    b"topic", b"notes", b"style", b"voice", b"aspect", b"length", b"priority", b"key", b"type", b"traceparent",
)  # fmt: skip
_CONTROL: Final = (
    b"type", b"reason", b"by", b"cause", b"id", b"video", b"mode", b"jobs", b"host", b"from", b"fresh", b"v", b"at",
)  # fmt: skip
_FACT: Final = (b"type", b"id", b"video", b"stage", b"attempt", b"at", b"v", b"traceparent", b"outcome", b"reason")
_SAID: Final = {
    b"style": (b"default", b"bold", b"no such"), b"aspect": (b"16:9", b"9:16", b"4:3"), b"length": (b"60s", b"1m30s", b"10", b"0s", b"601s"),
    b"priority": (b"0", b"9", b"10", b"-1"), b"type": (b"video.requested", b"halt", b"HALT ", b"pause", b"resume", b"mode", b"throttle", b"cancel", b"retry", b"release_gpu"),
    b"mode": (b"economy", b"speed", b"normal"), b"jobs": (b"2", b"all", b"0"), b"video": (b"261123-k3f9qz7m",), b"from": (b"render", b"nowhere"),
    b"fresh": (b"yes", b"no"), b"v": (b"1", b"2", b"01", b""), b"at": (b"2026-01-31T12:00:00.000Z", b"yesterday"), b"attempt": (b"1", b"-1", b"99999999999"),
    b"by": (b"cost", b"gpu", b"me"), b"traceparent": (b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"x"),
}  # fmt: skip

_hostile = st.sampled_from([text.encode(errors="surrogatepass") for text in cases.TEXTS])
_any = st.one_of(
    _hostile,
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"]),
    st.builds(
        lambda part, times: part * times, st.binary(min_size=1, max_size=4), st.sampled_from((100, 3000, 90_000))
    ),
)


def _names(known: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Names that are known, spelt otherwise, or anything."""
    spelt = st.sampled_from(known)
    otherwise = st.one_of(
        spelt.map(bytes.upper),
        spelt.map(bytes.title),
        spelt.map(lambda name: b" " + name + b"\t"),
        spelt.map(lambda name: name + b"_"),
        spelt.map(lambda name: name.replace(b"o", "\u043e".encode())),  # Cyrillic
        spelt.map(lambda name: name[1:]),
    )
    return st.one_of(spelt, spelt, otherwise, _any)


@st.composite
def _entries(draw: st.DrawFn, known: tuple[bytes, ...], base: Raw) -> Raw:
    """An entry: mostly a right one, with some fields that are not."""
    entry = dict(base) if draw(st.integers(0, 3)) else {}
    for _ in range(draw(st.integers(0, 4))):
        name = draw(_names(known))
        right = _SAID.get(name.strip().lower(), (b"x",))
        entry[name] = draw(st.one_of(st.sampled_from(right), _any))
    if draw(st.integers(0, 40)) == 0:
        entry |= {b"f%d" % number: b"x" for number in range(draw(st.sampled_from((51, 3000))))}
    if draw(st.integers(0, 40)) == 0:
        said = draw(_any)
        entry[draw(_names(known))] = said * min(draw(st.sampled_from((1, 2000))), _LARGEST // (len(said) or 1))
    for name in draw(st.lists(st.sampled_from(known), max_size=2)) if draw(st.booleans()) else ():
        entry.pop(name, None)
    return entry


_VERBS: Final[tuple[Raw, ...]] = (
    {b"type": b"halt", b"reason": b"smoke"},
    {b"type": b"resume"},
    {b"type": b"mode", b"mode": b"economy"},
    {b"type": b"throttle", b"jobs": b"2"},
    {b"type": b"retry", b"video": b"261123-k3f9qz7m", b"from": b"render"},
)
_REQUEST: Final[Raw] = {b"topic": b"Why octopuses have three hearts", b"notes": _NOTES}
_A_FACT: Final[Raw] = {
    name.encode(): text.encode()
    for name, text in fact.to_fields(fact.Fact("script.written", "v.script.1", "v", "script", 1, "2026-01-31T12:00:00.000Z")).items()
}  # fmt: skip
ENTRIES: Final[dict[str, st.SearchStrategy[Raw]]] = {
    "intake": _entries(_INTAKE, _REQUEST),
    "control": st.sampled_from(_VERBS).flatmap(lambda verb: _entries(_CONTROL, verb)),
    "facts": _entries(_FACT, _A_FACT),
}
_json: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(cases.TEXTS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_members = st.dictionaries(
    st.one_of(st.sampled_from([name.decode() for name in _INTAKE]), st.sampled_from(cases.TEXTS), st.text(max_size=8)),
    _json,
    max_size=5,
)


@st.composite
def posts(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    """A body and its headers, as the gateway gets them."""
    told: Any = draw(
        st.one_of(_members, _members.map(lambda said: {"topic": "Rivers", "notes": "x" * 30, **said}), _json)
    )
    headers = {
        "content-type": draw(st.sampled_from(("application/json", "text/plain", "", "application/cloudevents+json; x")))
    }
    if draw(st.booleans()):
        told = {
            "specversion": draw(st.one_of(st.just("1.0"), _json)),
            **{name: draw(_json) for name in draw(st.sets(st.sampled_from(("id", "source", "type", "time"))))},
            "data": told,
        }
    if draw(st.booleans()):
        names = st.sampled_from(("ce-id", "ce-source", "idempotency-key", "traceparent"))
        headers |= draw(st.dictionaries(names, st.text(st.characters(max_codepoint=255), max_size=300), max_size=3))
    rng = draw(st.randoms(use_true_random=False))
    return cases.as_json(rng, told), headers


def asked(raw: Raw) -> None:
    """What intake does with an entry, short of the record."""
    try:
        found = request.parse(raw, LIMITS)
        intake._refuse_unknown_style(found.brief)
        brief = intake.writable(found.brief, Providers())
    except RefusedError as error:
        _kept(raw, error)
        if error.hint.startswith("redis-cli"):
            again = request.parse(_pasted(error.hint, request.STREAM), LIMITS)
            assert again.brief.topic, "the hint is no right line"
        raise
    written = msgspec.json.encode(brief)
    assert msgspec.json.decode(written, type=Brief) == brief
    assert b"\\u0000" not in written, "a NUL, which jsonb does not take"
    sample_for(brief.topic)


def commanded(raw: Raw) -> None:
    """What control does with an entry, short of the record."""
    try:
        found = command.parse(raw)
    except RefusedError as error:
        assert not command.says_halt(raw), "a halt was refused"
        _kept(raw, error)
        command.parse(_pasted(error.hint, command.STREAM))
        raise
    assert command.says_halt(raw) == (found.verb == "halt")
    travels = {name.encode(): text.encode() for name, text in command.to_fields(found).items()}
    assert command.parse(travels) == found, "it does not read alike again"
    assert b"\\u0000" not in msgspec.json.encode(found), "a NUL, which no text column takes"
    command.line(found)


def stated(raw: Raw) -> None:
    """What a stage does with a fact, short of the record."""
    try:
        found = fact.from_fields(raw)
    except RefusedError as error:
        _kept(raw, error)
        raise
    travels = {name.encode(): text.encode() for name, text in fact.to_fields(found).items()}
    assert fact.from_fields(travels) == found, "it does not read alike again"


def posted(post: tuple[bytes, dict[str, str]]) -> None:
    """What the gateway does with a body, up to where intake takes over."""
    fields = fields_of(*post)
    asked({name.encode(errors="replace"): text.encode(errors="replace") for name, text in fields.items()})


def _kept(raw: Mapping[bytes, bytes], error: RefusedError) -> None:
    """A rejection keeps every byte."""
    rejected = notice.rejection(str(error), error.hint, "stream:intake", "1-0", raw)
    assert sorted(rejected.values()) == sorted(
        [
            *raw.values(),
            str(error).encode(errors="replace"),
            error.hint.encode(errors="replace"),
            b"stream:intake",
            b"1-0",
        ]
    )


def _pasted(hint: str, stream: str) -> Raw:
    """The entry that a hint makes when it is pasted into a shell."""
    words = shlex.split(hint)
    assert words[:4] == ["redis-cli", "XADD", stream, "*"], f"the hint is no line: {hint}"
    pairs = [word.encode() for word in words[4:]]
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


_WORK: Final[dict[str, Callable[[Any], None]]] = {
    "intake": asked,
    "control": commanded,
    "facts": stated,
    "cloudevents": posted,
}
ROWS: Final = tuple(_WORK)


def play(row: str, seed: int, number: int, tally: Tally, *, alarm: bool, count: int = BATCH) -> None:
    """Judge one batch; its smallest failing case is among the findings."""
    strategy: st.SearchStrategy[Any] = posts() if row == "cloudevents" else ENTRIES[row]
    judge = partial(judged, limit_s=LIMIT_S, alarm=alarm, needs_hint=True)
    drawn(strategy, _WORK[row], judge, f"{row} {seed} {number}", number, tally, count)


def drawn(
    strategy: st.SearchStrategy[Any],
    work: Callable[[Any], object],
    judge: Callable[[Tally, int, object, Callable[[], object]], str],
    seed: str,
    number: int,
    tally: Tally,
    count: int,
) -> None:
    """Judge so many cases that hypothesis draws; the first bad one ends it, shrunk."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def every(case: Any) -> None:  # noqa: ANN401 - an entry, a body, a request
        seen = shrinking if tally.bad > before else tally
        problem = judge(seen, number, case, lambda: work(case))
        assert not problem, problem

    before, shrinking = tally.bad, Tally(tally.row)
    try:
        every()
    except AssertionError:
        # the first one is counted; the smallest is shown in its place
        for finding in shrinking.findings:
            tally.findings = [one for one in tally.findings if one.place != finding.place] + [finding]
