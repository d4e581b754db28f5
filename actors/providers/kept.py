"""An answer that was paid for, as it is kept: its JSON can be read again, and its files lie in the store.

All files that an adapter left in its folder belong to its answer. They come back under the same names, all or none.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from actors.providers.ports import Adapter, Answer
from schema.artifacts import Artifacts
from schema.money.bought import InputKey, StoredFile

Order = TypeVar("Order", bound=msgspec.Struct)
Result = TypeVar("Result", bound=msgspec.Struct)


def answer_type(adapter: Adapter[Order, Result]) -> type[Answer[Result]]:
    """What the adapter's `call` says that it returns, so that a stored answer can be read again."""
    told: Any = get_type_hints(type(adapter).call).get("return")
    if get_origin(told) is not Answer or isinstance(get_args(told)[0], TypeVar):
        raise TypeError(
            f"{type(adapter).__name__}.call returns {told}: expected Answer of a struct, such as Answer[Script]"
        )
    kind: type[Answer[Result]] = told
    return kind


def store(artifacts: Artifacts, key: InputKey, out: Path) -> tuple[StoredFile, ...]:
    """Keep every file that the adapter left."""
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    folder = PurePosixPath("bought", key.hash, str(key.take))
    return tuple(StoredFile(name, artifacts.put(out / name, str(folder / name))) for name in names)


def fetch(artifacts: Artifacts, stored: tuple[StoredFile, ...], out: Path) -> None:
    """Lay stored files out as the adapter left them: all of them, or none where one is lost."""
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(artifacts.local(file.ref)) for file in stored]
        for file, source in zip(stored, sources, strict=True):
            target = out / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
