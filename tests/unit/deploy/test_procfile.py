from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.launch import procfile
from deploy.launch.plan import PROCFILE
from schema import flow
from schema.errors import ConfigurationError


def test_the_factorys_own_procfile_has_a_process_for_every_stage() -> None:
    names = [line.name for line in procfile.read(PROCFILE)]
    assert names[0] == "intake"
    assert {stage.name for stage in flow.STAGES} <= set(names)


def test_words_are_split_as_a_shell_would_and_python_is_this_one(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text("# a remark\n\nweb: python -m 'a b' --x=\"1 2\"\nother: ls\n")
    assert procfile.read(path) == (
        procfile.Line("web", (sys.executable, "-m", "a b", "--x=1 2")),
        procfile.Line("other", ("ls",)),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: ls\nthis is no line\n", "line 2: got 'this is no line', expected `name: command`"),
        ("web:\n", "line 1: got 'web:', expected `name: command`"),
        ("web: echo 'open\n", "line 1: No closing quotation in"),
        ("a: ls\na: ls\n", "line 2: there are two processes named 'a'"),
        ("# nothing\n", "names no process"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "Procfile"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as got:
        procfile.read(path)
    assert said in str(got.value)
