"""Log lines, in a process of their own: setting up logging changes the whole process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.telemetry import logs

ROOT = Path(__file__).parents[3]


def output(program: str, *, as_json: bool | None = True) -> str:
    """What a process prints that sets up its log and then does this."""
    head = f"import logging, structlog\nfrom schema.telemetry import logs\nlogs.configure('render', json={as_json})\n"
    head += "log = structlog.get_logger()\n"
    command = [sys.executable, "-c", head + program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


def lines(program: str) -> list[dict[str, Any]]:
    """Its lines, read as JSON."""
    return [json.loads(line) for line in output(program, as_json=None).splitlines()]


def masked(**event: object) -> dict[str, Any]:
    """An event as it would be logged."""
    return dict(logs.mask(None, "info", event))


def test_a_line_is_json_that_names_its_work() -> None:
    program = (
        "structlog.contextvars.bind_contextvars(video='V', stage='render', attempt=2)\nlog.info('stage.ended', s=1)"
    )
    (line,) = lines(program)
    assert list(line)[:7] == ["at", "level", "process", "event", "video", "stage", "attempt"]
    assert {**line, "at": ""} == {
        "at": "",
        "level": "info",
        "process": "render",
        "event": "stage.ended",
        "video": "V",
        "stage": "render",
        "attempt": 2,
        "s": 1,
    }


def test_a_terminal_gets_words() -> None:
    text = output("log.info('stage.ended', topic='Tides')", as_json=False)
    assert "stage.ended" in text
    assert "topic=Tides" in text
    assert "{" not in text


def test_libraries_speak_the_same_form_from_warning_up() -> None:
    program = """
structlog.contextvars.bind_contextvars(video='V')
logging.getLogger('asyncpg').info('chatter')
logging.getLogger('asyncpg').warning('pool at %s', 'postgresql://ytempire:hunter2@host/db')
logging.getLogger('dramatiq.worker').warning('noise')
logging.getLogger('dramatiq.worker').error('a real error')
"""
    first, second = lines(program)
    assert (first["event"], first["video"]) == ("pool at postgresql://ytempire:***@host/db", "V")
    assert (first["logger"], first["level"]) == ("asyncpg", "warning")
    assert second["event"] == "a real error"


def test_an_exception_is_one_masked_field_of_the_line() -> None:
    program = """
try:
    innocent = 'hunter2'
    raise ValueError('cannot reach redis://u:hunter2@host')
except ValueError:
    log.exception('stage.failed')
"""
    (line,) = lines(program)
    (exception,) = line["exception"]
    assert (exception["exc_type"], exception["exc_value"]) == ("ValueError", "cannot reach redis://u:***@host")
    assert "hunter2" not in json.dumps(line)


def test_a_crash_is_a_line_too() -> None:
    program = """
import threading
def work(): raise RuntimeError('in a thread')
thread = threading.Thread(target=work, name='settler')
thread.start()
thread.join()
raise RuntimeError('token=hunter2')
"""
    thread, process = lines(program)
    assert (thread["event"], thread["thread"], thread["level"]) == ("thread crashed", "settler", "critical")
    assert (process["event"], process["exception"][0]["exc_value"]) == ("process crashed", "token=***")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"api_key": "abc", "Token": "t", "client_secret": b"s", "db_password": ["p"]}, "***"),
        ({"headers": {"Authorization": "Basic x"}}, {"Authorization": "***"}),
        ({"error": "postgresql://u:p@ss/word@host/db is down"}, "postgresql://u:***@host/db is down"),
        ({"error": "sent Authorization: Bearer abcdefgh1234"}, "sent Authorization: Bearer ***"),
        ({"error": "GET https://api.example.org/?key=abc&page=2"}, "GET https://api.example.org/?key=***&page=2"),
        ({"error": 'body {"api_key": "abc", "n": 1}'}, 'body {"api_key": "***", "n": 1}'),
        ({"error": "used sk-proj-0123456789abcdefXYZ"}, "used ***"),
        ({"nested": [{"deep": ({"access_token": "abc"},)}]}, [{"deep": [{"access_token": "***"}]}]),
    ],
)
def test_what_looks_like_a_secret_is_masked(event: dict[str, object], expected: object) -> None:
    for value in masked(**event).values():
        assert value == expected


def test_a_secret_that_it_was_told_is_masked_wherever_it_stands_however_it_looks() -> None:
    program = (
        "logs.hide(['correct horse', 'a', 'json://hooks/T0/B1'])\n"
        "log.info('sent correct horse', about=['via json://hooks/T0/B1'])\n"
        "logging.getLogger('lib').warning('got %s', 'correct horse')\n"
        "print(logs.cleaned('refused: correct horse'))\n"
        "raise ValueError('a battery of correct horse')"
    )
    text = output(program)
    assert "correct horse" not in text
    assert "json://hooks" not in text
    assert text.count("***") >= 5
    assert "a battery of ***" in text


def test_ordinary_words_are_left_alone() -> None:
    event = {
        "event": "video.accepted",
        "topic": "The key to tides: a token of the moon",
        "max_tokens": 500,
        "entry": "1712-0",
        "url": "redis://127.0.0.1:6379/0",
        "nothing": None,
        "key": "",
    }
    assert masked(**event) == event


@given(st.text("abcdefgh0123456789@:/!$", min_size=6).filter(lambda word: "/" not in word[-1] and word.strip()))
def test_no_password_of_a_url_is_ever_shown(password: str) -> None:
    assert f":{password}@" not in str(masked(url=f"redis://user:{password}@host:6379/0")["url"])


def test_a_value_that_is_no_json_does_not_break_a_line() -> None:
    (line,) = lines("log.info('odd', path=__import__('pathlib').Path('/a'), surrogate='\\udcff', raw=b'\\xff', s={1})")
    assert (line["path"], line["raw"], line["s"]) == ("PosixPath('/a')", "\ufffd", [1])
