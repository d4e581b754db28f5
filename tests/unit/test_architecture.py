"""The architecture as a failing test: who may import whom, and how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PACKAGES = ("schema", "streams", "actors", "guardians", "deploy", "tests")
LONGEST_LINES = 400
#: What the docstring of a longer file must go on to explain.
REASON = "long because"


def _python_files(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((root / package).rglob("*.py"))


def _unexplained(path: Path) -> str | None:
    text = path.read_text("utf-8")
    lines = text.count("\n")
    if lines <= LONGEST_LINES or REASON in (ast.get_docstring(ast.parse(text)) or "").lower():
        return None
    return f"{path.name} has {lines} lines: split it, or say in its docstring that it is {REASON} ..."


def test_the_contracts_between_the_floors_hold(capsys: pytest.CaptureFixture[str]) -> None:
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_no_file_is_long_without_a_reason() -> None:
    files = list(_python_files(ROOT))
    assert files
    assert [complaint for path in files if (complaint := _unexplained(path))] == []


def test_a_long_file_is_noticed_until_it_says_why(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text('"""Everything."""\n' + "\n" * LONGEST_LINES)
    assert _unexplained(path) == "long.py has 401 lines: split it, or say in its docstring that it is long because ..."
    path.write_text('"""One table, long because each row is a country."""\n' + "\n" * LONGEST_LINES)
    assert _unexplained(path) is None
