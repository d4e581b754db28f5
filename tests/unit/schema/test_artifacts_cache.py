from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schema.artifacts.cache import Cache
from schema.documents import ArtifactRef
from schema.errors import ArtifactError

ROOT = Path(__file__).parents[3]
KILOBYTE = 1_000


def ref_of(content: bytes) -> ArtifactRef:
    return ArtifactRef("work/v/a.bin", len(content), hashlib.sha256(content).hexdigest())


class Elsewhere:
    """What a store has, and how often it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content, self.asked = content, 0

    def __call__(self, part: str) -> None:
        """Fetch it."""
        self.asked += 1
        Path(part).write_bytes(self.content)


def read(cache: Cache, fetch: Elsewhere, ref: ArtifactRef) -> bytes:
    with cache.held(ref, fetch) as path:
        return path.read_bytes()


def whole(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "lock"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_was_fetched_or_stored_once_is_not_fetched_again(folder: Path, tmp_path: Path) -> None:
    fetched, stored = Elsewhere(b"fetched"), Elsewhere(b"stored")
    (tmp_path / "source").write_bytes(b"stored")
    Cache(folder, KILOBYTE).keep(tmp_path / "source", ref_of(b"stored"))
    for _ in range(2):
        assert read(Cache(folder, KILOBYTE), fetched, ref_of(b"fetched")) == b"fetched"
        assert read(Cache(folder, KILOBYTE), stored, ref_of(b"stored")) == b"stored"
    assert (fetched.asked, stored.asked) == (1, 0)


def test_a_file_that_went_bad_here_is_fetched_again_and_never_handed_out(folder: Path) -> None:
    cache, store, ref = Cache(folder, KILOBYTE), Elsewhere(b"three hearts"), ref_of(b"three hearts")
    read(cache, store, ref)
    (folder / ref.sha256).write_bytes(b"three hearty")
    assert read(cache, store, ref) == b"three hearts"
    assert store.asked == 2


def test_bytes_that_are_not_those_that_were_stored_are_refused_and_leave_nothing(folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a\.bin has changed: it is 5 bytes"):
        read(Cache(folder, KILOBYTE), Elsewhere(b"wrong"), ref_of(b"three hearts"))
    assert whole(folder) == set()


def test_what_was_not_used_for_longest_goes_and_what_is_in_use_stays(folder: Path) -> None:
    cache, contents = Cache(folder, KILOBYTE), [bytes([number]) * 400 for number in range(4)]
    refs = [ref_of(content) for content in contents]
    with cache.held(refs[0], Elsewhere(contents[0])) as oldest:
        read(cache, Elsewhere(contents[1]), refs[1])
        read(cache, Elsewhere(contents[2]), refs[2])
        assert oldest.read_bytes() == contents[0]
        assert whole(folder) == {refs[0].sha256, refs[2].sha256}
    read(cache, Elsewhere(contents[2]), refs[2])
    read(cache, Elsewhere(contents[3]), refs[3])
    assert whole(folder) == {refs[2].sha256, refs[3].sha256}


def test_more_than_the_bound_may_be_in_use_and_goes_when_it_is_let_go(folder: Path) -> None:
    one, other = bytes(800), b"\1" * 800
    cache, another_process = Cache(folder, KILOBYTE), Cache(folder, KILOBYTE)
    with cache.held(ref_of(one), Elsewhere(one)) as first:
        with another_process.held(ref_of(other), Elsewhere(other)) as second:
            assert (first.read_bytes(), second.read_bytes()) == (one, other)
        assert whole(folder) == {ref_of(one).sha256}
    assert whole(folder) == {ref_of(one).sha256}


def test_the_bound_holds_while_many_read_and_each_reads_what_was_stored(folder: Path) -> None:
    contents = [bytes([number]) * 1000 for number in range(20)]
    most_bytes, stop = [0], threading.Event()

    def look() -> None:
        cache = Cache(folder, 8 * KILOBYTE)
        while not stop.is_set():
            with cache._alone():
                most_bytes[0] = max(most_bytes[0], sum(path.stat().st_size for path in folder.iterdir()))

    def work(start: int) -> None:
        cache = Cache(folder, 8 * KILOBYTE)
        for turn in range(15):
            content = contents[(start * 7 + turn * 3) % 20]
            assert read(cache, Elsewhere(content), ref_of(content)) == content

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as several:
            list(several.map(work, range(4)))
    finally:
        stop.set()
        watcher.join()
    assert 4 * KILOBYTE < most_bytes[0] <= 8 * KILOBYTE
    assert not [name for name in whole(folder) if name.endswith(".part")]


_FETCHES_HALF = """
import sys, time
from pathlib import Path
from schema.artifacts.cache import Cache
from schema.documents import ArtifactRef

def fetch(part):
    Path(part).write_bytes(b"ha")
    print("half", flush=True)
    time.sleep(60)

with Cache(Path(sys.argv[1]), 1000).held(ArtifactRef("a.bin", 4, sys.argv[2]), fetch):
    pass
"""


def test_what_a_killed_process_left_half_is_swept_and_what_a_living_one_writes_is_not(folder: Path) -> None:
    ref, cache = ref_of(b"half"), Cache(folder, KILOBYTE)
    command = [sys.executable, "-c", _FETCHES_HALF, str(folder), ref.sha256]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        cache.trim()
        written = whole(folder)
        process.kill()
    assert len(written) == 1, "it was still being written"
    assert whole(folder) == written
    assert read(cache, Elsewhere(b"half"), ref) == b"half"
    assert whole(folder) == {ref.sha256}
