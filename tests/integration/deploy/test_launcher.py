from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.launch.plan import ROOT

#: Stands in for uv: notes what it was asked, and "installs" a python that says where it is and what it was given.
UV = """#!/bin/sh
echo "$*" >>"{folder}/uv.asked"
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
cat >"$UV_PROJECT_ENVIRONMENT/bin/python" <<'END'
#!/bin/sh
echo "in $(pwd) with $PYTHONPATH${{PYTHONDONTWRITEBYTECODE+ and nothing kept}}:" "$@"
END
chmod +x "$UV_PROJECT_ENVIRONMENT/bin/python"
"""
#: What the script (and chmod: its stand-in for uv) may use beside python3.
TOOLS = ("sh", "readlink", "dirname", "cksum", "cat", "mkdir", "mv", "rm", "tail", "chmod")


class Clone:
    """The launcher in a folder of its own, with a PATH of its own."""

    def __init__(self, folder: Path, *, python: str | None) -> None:
        self.root = folder / "a clone"
        self.bin = folder / "bin"
        self.environ = {"PATH": str(self.bin)}
        for place in (self.root / ".tools" / "bin", self.bin):
            place.mkdir(parents=True)
        for name in ("ytempire", "uv.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.root)
        self._program(self.root / ".tools" / "bin" / "uv", UV.format(folder=folder))
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        if python is not None:
            self._program(self.bin / "python3", python)
        self.asked = folder / "uv.asked"

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def give(self, tool: str, text: str) -> None:
        """From now on its PATH has this, too."""
        self._program(self.bin / tool, text)

    def start(self, *args: str, by: Path | None = None, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Call it as a user does."""
        return subprocess.Popen(
            (by or self.root / "ytempire", *args),
            env=self.environ,
            cwd=cwd or self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, by: Path | None = None, cwd: Path | None = None) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        with self.start(*args, by=by, cwd=cwd) as process:
            out, errors = process.communicate(timeout=30)
            return process.returncode, out, errors


def _has_libcuda() -> bool:
    """Whether this machine has a driver where the launcher looks for one."""
    return any(list(Path("/usr").glob(f"{place}/libcuda.so.1")) for place in ("lib", "lib/*-linux-gnu", "lib64"))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone on a machine with this Python."""
    return Clone(tmp_path, python=f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')


def test_it_sets_up_once_and_runs_where_the_user_is_with_blanks_in_the_path(clone: Clone, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    link = elsewhere / "link"
    link.symlink_to(Path("..") / "a clone" / "ytempire")
    for time, said in enumerate((2, 0)):
        code, out, errors = clone.run("submit", "a topic", by=link, cwd=elsewhere)
        assert (code, out) == (0, f"in {elsewhere} with {clone.root}: -m deploy submit a topic\n"), errors
        assert errors.count("\n") == said, time
    assert clone.asked.read_text().count("sync --frozen --inexact --no-dev") == 1


def test_the_packages_of_the_tests_are_brought_for_the_tests_only(clone: Clone) -> None:
    clone.run("up")
    clone.run("test", "-k", "x")
    clone.run("up")
    clone.run("test")
    assert [line.split()[3] for line in clone.asked.read_text().splitlines()] == ["--no-dev", "--dev"]


def test_the_packages_for_a_card_are_brought_where_a_driver_is(clone: Clone) -> None:
    before = "" if _has_libcuda() else "--quiet"
    clone.run("up")
    clone.give("nvidia-smi", "#!/bin/sh\n")
    clone.run("up")
    clone.run("up")
    asked = [line.split()[4] for line in clone.asked.read_text().splitlines()]
    assert asked == ([before, "--extra=gpu"] if before else ["--extra=gpu"])


def test_packages_for_a_card_that_cannot_be_had_stop_nobody(clone: Clone) -> None:
    clone.give("nvidia-smi", "#!/bin/sh\n")
    uv = clone.root / ".tools" / "bin" / "uv"
    uv.write_text(uv.read_text().replace("mkdir", 'case "$*" in *--extra=gpu*) exit 1 ;; esac\nmkdir', 1))
    code, out, errors = clone.run("up")
    assert (code, out) == (0, f"in {clone.root} with {clone.root}: -m deploy up\n")
    assert "without the packages for the graphics card: films will be made on the CPU" in errors


def test_a_changed_lock_file_sets_up_again(clone: Clone) -> None:
    clone.run("up")
    with (clone.root / "uv.lock").open("a") as lock:
        lock.write("\n# changed\n")
    clone.run("up")
    clone.run("up")
    assert len(clone.asked.read_text().splitlines()) == 2


def test_a_set_up_that_was_cut_short_is_made_up_for(clone: Clone) -> None:
    (clone.root / ".venv").mkdir()
    (clone.root / ".venv" / "ytempire-run.stamp.part").touch()
    code, out, _ = clone.run("up")
    assert (code, out) == (0, f"in {clone.root} with {clone.root}: -m deploy up\n")


def test_what_is_compiled_is_kept_also_where_the_image_forbids_it(clone: Clone) -> None:
    clone.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    code, out, errors = clone.run("up")
    assert (code, out) == (0, f"in {clone.root} with {clone.root}: -m deploy up\n"), errors


def test_two_at_once_set_up_once(clone: Clone) -> None:
    with clone.start("up") as one, clone.start("up") as other:
        said = [process.communicate(timeout=30) for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert len(clone.asked.read_text().splitlines()) == 1


def test_a_machine_without_python_is_told_in_one_line(tmp_path: Path) -> None:
    done = Clone(tmp_path, python=None).run("up")
    assert done == (2, "", "ytempire: python3 is missing: install Python 3.11 or newer\n")


def test_an_old_python_is_told_in_one_line(tmp_path: Path) -> None:
    old = '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 && exit\nexit 1\n'
    code, _, errors = Clone(tmp_path, python=old).run("up")
    assert code == 2
    assert errors == "ytempire: Python 3.9.2 is too old: install Python 3.11 or newer and put it first in PATH\n"


def test_a_python_without_pip_is_told_in_one_line(tmp_path: Path) -> None:
    without_pip = f'#!/bin/sh\n[ "$2" = pip ] && exit 1\nexec "{sys.executable}" "$@"\n'
    clone = Clone(tmp_path, python=without_pip)
    (clone.root / ".tools" / "bin" / "uv").unlink()
    code, _, errors = clone.run("up")
    assert code == 2
    assert errors.startswith("ytempire: pip is missing: install it, on Debian with `apt-get install python3-pip`")
    assert errors.count("\n") == 1


def test_a_machine_without_a_network_is_told_in_one_line(tmp_path: Path) -> None:
    offline = f"""#!/bin/sh
[ "$3" = install ] && echo "ERROR: No matching distribution found for uv" >&2 && exit 1
[ "$2" = pip ] && exit
exec "{sys.executable}" "$@"
"""
    clone = Clone(tmp_path, python=offline)
    (clone.root / ".tools" / "bin" / "uv").unlink()
    code, _, errors = clone.run("up")
    assert code == 2
    assert errors.splitlines()[1:] == [
        "ytempire: uv cannot be installed (is there a network?): ERROR: No matching distribution found for uv"
    ]


def test_a_clone_that_cannot_be_written_is_told_in_one_line(clone: Clone) -> None:
    shutil.rmtree(clone.root / ".tools")
    (clone.root / ".tools").touch()  # root may write everywhere, but nobody makes a folder where a file is
    code, _, errors = clone.run("up")
    assert (code, errors) == (2, f"ytempire: {clone.root} cannot be written: copy the project to a folder of yours\n")
