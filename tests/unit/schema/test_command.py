"""Commands: a halt always halts, and nothing else is guessed."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema import modes, wire
from schema.errors import RefusedError
from schema.events.command import VERBS, Command, Verb, is_guardian, parse, to_fields

VERBS_IN_WORDS = ", ".join(f"{verb.name} ({verb.does})" for verb in VERBS)
LINE = "redis-cli XADD stream:control '*'"
WORD = (
    st.text(st.characters(codec="utf-8"), max_size=200)
    .filter(lambda text: not wire.CONTROL.search(text))
    .map(str.strip)
)
_COMMON = {"reason": WORD, "by": WORD.filter(bool), "cause": WORD, "id": WORD}
_VIDEO = WORD.filter(bool)
_STAGES = ["script", "media", "audio", "render", "quality"]
COMMANDS = st.one_of(
    st.builds(Command, verb=st.sampled_from(["halt", "pause", "resume", "release_gpu"]), **_COMMON),
    st.builds(Command, verb=st.just("mode"), mode=st.sampled_from(modes.MODES), video=WORD, **_COMMON),
    st.builds(Command, verb=st.just("throttle"), jobs=st.sampled_from(["1", "9999", "all"]), host=WORD, **_COMMON),
    st.builds(Command, verb=st.just("cancel"), video=_VIDEO, **_COMMON),
    st.builds(
        Command,
        verb=st.just("retry"),
        video=_VIDEO,
        from_stage=st.sampled_from(["", *_STAGES]),
        fresh=st.sampled_from(["", "yes", "no"]),
        **_COMMON,
    ),
)


def raw(**fields: str) -> dict[bytes, bytes]:
    """An entry as Redis hands it over."""
    return {name.encode(): value.encode() for name, value in fields.items()}


def answer_to(entry: dict[bytes, bytes]) -> Command | RefusedError:
    """What comes of this entry; any other exception fails the test."""
    try:
        return parse(entry)
    except RefusedError as error:
        return error


def refusal(entry: dict[bytes, bytes]) -> RefusedError:
    """How this entry is refused."""
    answer = answer_to(entry)
    assert isinstance(answer, RefusedError)
    return answer


@pytest.mark.parametrize("verb", ["halt", "pause", "resume", "release_gpu"])
def test_a_verb_is_enough(verb: str) -> None:
    command = parse(raw(type=verb))
    assert (command.verb, command.by, command.reason) == (verb, "operator", "")


@settings(deadline=None)
@given(COMMANDS)
def test_a_command_is_the_same_after_its_journey(command: Command) -> None:
    fields = to_fields(command)
    assert next(iter(fields.items())) == ("type", command.verb)
    assert parse(raw(**fields)) == command


@pytest.mark.parametrize(
    "entry",
    [
        raw(type="halt", reason="x" * 10_000),
        raw(type=" HALT\n"),
        raw(Type="halt", whatever="1"),
        {b"type": b"halt", b"reason": b"\xff\xfe"},
        {b"type": b"halt", b"\xff": b"\xff", b"by": b""},
        raw(type="halt", by="x" * 10_000, id="\0"),
    ],
)
def test_a_malformed_halt_still_halts(entry: dict[bytes, bytes]) -> None:
    assert parse(entry).verb == "halt"


def test_what_can_be_read_of_a_malformed_halt_is_kept() -> None:
    entry = {b"type": b"Halt", b"reason": b"smoke \xff\nin the rack", b"by": b"anna", b"cause": b"\0"}
    assert parse(entry) == Command("halt", "smoke \ufffd in the rack", "anna")


#: Nonsense in which the words of commands come up again and again.
_NAMES = [b"type", b"reason", b"by", b"cause", b"id", b"mode", b"video", b"jobs", b"host", b"from", b"fresh"]
_VALUES = [verb.name.encode() for verb in VERBS] + [b"economy", b"render", b"yes", b"2", b"all", b" resume ", b"RESUME"]
JUNK = st.dictionaries(
    st.sampled_from(_NAMES) | st.binary(max_size=8), st.sampled_from(_VALUES) | st.binary(max_size=20)
)


@settings(deadline=None)
@given(JUNK)
def test_no_field_stops_a_halt(fields: dict[bytes, bytes]) -> None:
    assert parse(fields | {b"type": b"halt"}).verb == "halt"


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        (
            raw(type="resum"),
            f"type is 'resum': expected {VERBS_IN_WORDS}; did you mean resume?",
            f"{LINE} type resume reason why",
        ),
        (
            raw(),
            f"type is missing: expected {VERBS_IN_WORDS}",
            f"{LINE} type pause reason why",
        ),
        (
            raw(resume="now"),
            f"type is missing: expected {VERBS_IN_WORDS}",
            f"{LINE} type resume reason why",
        ),
        (
            raw(type="resume", reson="all is well"),
            "resume does not know the field 'reson': did you mean reason?",
            f"{LINE} type resume reason why",
        ),
        (
            raw(type="resume", video="V"),
            "resume does not know the field 'video': it takes reason, by, cause, id",
            f"{LINE} type resume reason why",
        ),
        (
            {b"type": b"resume", b"by": b"\xff"},
            "by is not UTF-8: byte 0xff at offset 0; send it as UTF-8 text",
            f"{LINE} type resume reason why",
        ),
        (
            raw(type="mode"),
            "mode needs the field mode",
            f"{LINE} type mode mode economy reason why",
        ),
        (
            raw(type="mode", mode="Speedy", video="261123-k3f9qz7m"),
            "mode is 'Speedy': expected normal, economy, speed; did you mean speed?",
            f"{LINE} type mode mode economy video 261123-k3f9qz7m reason why",
        ),
        (
            raw(type="throttle", jobs="0"),
            "jobs is '0': expected a number from 1 to 9999, or all for no limit",
            f"{LINE} type throttle jobs 2 reason why",
        ),
        (
            raw(type="cancel"),
            "cancel needs the field video",
            f"{LINE} type cancel video 261123-k3f9qz7m reason why",
        ),
        (
            raw(type="cancel", video="V", **{"from": "render"}),
            "cancel does not know the field 'from': it takes video, reason, by, cause, id",
            f"{LINE} type cancel video V reason why",
        ),
        (
            raw(type="retry", video="V", **{"from": "rendering"}, fresh="yes"),
            "from is 'rendering': expected script, media, audio, render, quality; did you mean render?",
            f"{LINE} type retry video V from render fresh yes reason why",
        ),
        (
            raw(type="retry", video="V", fresh="please"),
            "fresh is 'please': expected yes, no",
            f"{LINE} type retry video V fresh yes reason why",
        ),
        (
            raw(type="retry", video="x" * 201),
            "video is 201 characters: at most 200 are allowed",
            f"{LINE} type retry video 261123-k3f9qz7m reason why",
        ),
        (
            raw(type="pause", reason="x" * 501),
            "reason is 501 characters: at most 500 are allowed",
            f"{LINE} type pause reason why",
        ),
        (
            raw(type="pause", reason="a\nb"),
            "reason has the control character U+000A at position 1: send plain text on one line",
            f"{LINE} type pause reason why",
        ),
    ],
)
def test_any_other_malformed_command_is_refused_with_a_right_line(
    entry: dict[bytes, bytes], message: str, hint: str
) -> None:
    error = refusal(entry)
    assert (str(error), error.hint) == (message, hint)


def test_a_shouted_resume_opens_nothing() -> None:
    assert "did you mean resume?" in str(refusal(raw(type="RESUME")))


@settings(deadline=None)
@given(JUNK)
def test_whatever_comes_in_is_a_command_or_a_refusal_with_a_right_line(entry: dict[bytes, bytes]) -> None:
    answer = answer_to(entry)
    if isinstance(answer, RefusedError):
        words = shlex.split(answer.hint)[4:]
        assert parse(raw(**dict(zip(words[::2], words[1::2], strict=True))))


@settings(deadline=None)
@given(JUNK, st.sampled_from([verb for verb in VERBS if verb.name != "halt"]))
def test_a_verb_with_junk_in_it_is_refused_unless_every_field_is_right(junk: dict[bytes, bytes], verb: Verb) -> None:
    entry = {**junk, b"type": verb.name.encode()}
    answer = answer_to(entry)
    known = {b"type", b"reason", b"by", b"cause", b"id", b"v", b"at", b"traceparent"}
    right = all(
        name in known
        or any(name == field.name.encode() and (not _text(value) or field.fits(_text(value))) for field in verb.own)
        for name, value in entry.items()
    )
    assert right or isinstance(answer, RefusedError)


def _text(value: bytes) -> str:
    return value.decode(errors="replace").strip()


def test_a_guardian_is_known_by_its_name_and_everybody_else_is_an_operator() -> None:
    assert [is_guardian(by) for by in ("cost", "gpu", "operator", "anna", "")] == [True, True, False, False, False]


def test_a_command_stamped_like_any_event_is_understood() -> None:
    stamped = raw(type="resume", v="1", at="2026-01-31T12:00:00.000Z", traceparent="")
    assert parse(stamped) == Command("resume")


def test_every_verb_of_the_table_parses_from_its_own_example() -> None:
    for verb in VERBS:
        assert parse(raw(type=verb.name, **{field.name: field.example for field in verb.own})).verb == verb.name
