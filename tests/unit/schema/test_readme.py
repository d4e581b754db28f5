import re
import shlex
from pathlib import Path

import pytest

from schema.events import command, request
from schema.settings.limits import Limits

README = Path(__file__).parents[3] / "README.md"
LINES = re.findall(r"^ +(redis-cli XADD .*)$", README.read_text("utf-8"), re.MULTILINE)


def test_the_readme_shows_lines_to_type() -> None:
    assert len(LINES) >= 4


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_readme_is_understood(line: str) -> None:
    _, _, stream, star, *words = shlex.split(line)
    assert star == "*"
    assert "'*'" in line
    fields = {name.encode(): value.encode() for name, value in zip(words[::2], words[1::2], strict=True)}
    if stream == request.STREAM:
        assert request.parse(fields, Limits())
    else:
        assert stream == command.STREAM
        assert command.parse(fields)
