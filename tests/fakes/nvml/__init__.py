"""A driver for the tests: builds `nvml.c` into the library that the real pynvml loads, and writes what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("nvml.c")
#: Codes of NVML that a script may name.
NOT_SUPPORTED, DRIVER_NOT_LOADED, TIMEOUT, GPU_IS_LOST, INSUFFICIENT_MEMORY = 3, 9, 10, 15, 20


class Driver:
    """The library in `folder`, and its script; processes with `environ` see the cards that it tells of."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("the fake NVIDIA driver is C, and there is no cc on PATH")
        self.script = folder / "nvml.txt"
        library = folder / "libnvidia-ml.so.1"
        command = (compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(_SOURCE))
        subprocess.run(command, check=True, timeout=60)
        # pynvml loads it by its bare name, so the loader's path decides
        known = os.environ.get("LD_LIBRARY_PATH", "")
        self.environ = {
            "LD_LIBRARY_PATH": f"{folder}:{known}" if known else str(folder),
            "FAKE_NVML_SCRIPT": str(self.script),
        }
        self.says()

    def says(self, *lines: str, cards: int = 1) -> None:
        """From its next call on, in one step; what is not said is an idle card of 32768 MB."""
        part = self.script.with_suffix(".part")
        part.write_text("".join(f"{line}\n" for line in (*lines, f"cards {cards}")), encoding="utf-8")
        part.replace(self.script)
