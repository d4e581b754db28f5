from __future__ import annotations

import resource
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest
from msgspec.structs import replace

from schema.artifacts import Artifacts
from schema.errors import ArtifactError
from tests.fakes import s3

MEGABYTE = 1 << 20


@pytest.fixture(params=["folder", "elsewhere", pytest.param("s3", marks=pytest.mark.slow)])
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Artifacts]:
    """One store, as one host after the other opens it: a folder, one reached by its own protocol only, one over S3."""
    name = uuid.uuid4().hex
    match request.param:
        case "folder":
            return lambda: Artifacts(str(tmp_path / "store"))
        case "elsewhere":
            return lambda: Artifacts(f"memory://{name}")
    store: s3.Store = request.getfixturevalue("s3_store")
    url = f"{store.bucket(f'b{name}')}/below"
    return lambda: Artifacts(url, store.access())


@pytest.fixture
def artifacts(hosts: Callable[[], Artifacts]) -> Artifacts:
    return hosts()


@pytest.fixture
def elsewhere(hosts: Callable[[], Artifacts]) -> Artifacts:
    """The same store on a host that has read nothing of it yet."""
    return hosts()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.bin"
    file.write_bytes(b"three hearts" * 1000)
    return file


def test_what_is_put_is_read_back_under_its_name(artifacts: Artifacts, elsewhere: Artifacts, source: Path) -> None:
    ref = artifacts.put(source, "work/v/script-1-a.bin")
    assert (ref.path, ref.size_bytes) == ("work/v/script-1-a.bin", 12_000)
    for host in (artifacts, elsewhere):
        with host.local(ref) as path:
            assert path.read_bytes() == source.read_bytes()


def test_a_promoted_file_has_both_names_and_the_same_bytes(
    artifacts: Artifacts, elsewhere: Artifacts, source: Path
) -> None:
    ref = artifacts.put(source, "work/v/film.mp4")
    final = artifacts.promote(ref, "videos/v.mp4")
    assert (final.path, final.sha256, final.size_bytes) == ("videos/v.mp4", ref.sha256, ref.size_bytes)
    artifacts.remove_below("work/v")
    with elsewhere.local(final) as path:
        assert path.read_bytes() == source.read_bytes()


def test_promoting_again_what_a_killed_attempt_had_promoted_leaves_no_part_file(source: Path, tmp_path: Path) -> None:
    store = Artifacts(str(tmp_path / "store"))
    ref = store.put(source, "work/v/film.mp4")
    assert store.promote(ref, "videos/v.mp4") == store.promote(ref, "videos/v.mp4")
    assert [path.name for path in (tmp_path / "store/videos").iterdir()] == ["v.mp4"]


def test_promoting_what_is_not_there_says_so_and_leaves_nothing(
    artifacts: Artifacts, elsewhere: Artifacts, source: Path
) -> None:
    ref = replace(artifacts.put(source, "work/v/film.mp4"), path="work/v/other.mp4")
    with pytest.raises(ArtifactError, match=r"cannot store videos/v\.mp4"):
        artifacts.promote(ref, "videos/v.mp4")
    with pytest.raises(ArtifactError), elsewhere.local(replace(ref, path="videos/v.mp4")):
        pass


def test_a_file_that_changed_since_is_named_with_what_it_is_and_what_it_was(
    artifacts: Artifacts, elsewhere: Artifacts, source: Path
) -> None:
    ref = artifacts.put(source, "a.bin")
    source.write_bytes(b"other")
    artifacts.put(source, "a.bin")
    changed = r"a\.bin has changed: it is 5 bytes, .*; stored were 12000 bytes"
    with pytest.raises(ArtifactError, match=changed), elsewhere.local(ref):
        pass


def test_a_missing_file_is_named(artifacts: Artifacts, elsewhere: Artifacts, source: Path) -> None:
    ref = replace(artifacts.put(source, "a.bin"), path="b.bin")
    with pytest.raises(ArtifactError, match=r"b\.bin"), elsewhere.local(ref):
        pass


def test_a_folder_is_removed_with_all_below_it_and_its_neighbour_stays(
    artifacts: Artifacts, elsewhere: Artifacts, source: Path
) -> None:
    gone, kept = artifacts.put(source, "work/v/a/b.bin"), artifacts.put(source, "work/w/c.bin")
    artifacts.remove_below("work/v")
    artifacts.remove_below("work/never")
    with pytest.raises(ArtifactError), elsewhere.local(gone):
        pass
    with elsewhere.local(kept) as path:
        assert path.exists()


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "work/../../up", "work\\..\\up", ".", "./"])
def test_a_path_that_leaves_its_folder_or_is_the_folder_itself_is_refused(
    artifacts: Artifacts, source: Path, path: str
) -> None:
    kept = artifacts.put(source, "videos/v.mp4")
    for attempt in (artifacts.remove_below, artifacts.location, lambda path: artifacts.put(source, path)):
        with pytest.raises(ValueError, match="leaves its folder"):
            attempt(path)
    with pytest.raises(ValueError, match="leaves its folder"), artifacts.local(replace(kept, path=path)):
        pass
    with artifacts.local(kept) as there:
        assert there.exists()


def test_a_stored_file_is_read_from_any_place_and_its_fault_is_told(
    artifacts: Artifacts, elsewhere: Artifacts, source: Path
) -> None:
    ref = artifacts.put(source, "videos/v.mp4")
    with elsewhere.opened(ref) as file:
        file.seek(11_994)
        assert file.read(3) == b"hea"
        file.seek(2)
        assert file.read(5) == b"ree h"
    assert elsewhere.fault(ref) == ""
    assert elsewhere.fault(replace(ref, path="videos/w.mp4")) == "videos/w.mp4 is missing"
    source.write_bytes(b"other")
    artifacts.put(source, "videos/v.mp4")
    assert "videos/v.mp4 has changed: it is 5 bytes" in elsewhere.fault(ref)


def test_a_folder_set_aside_is_whole_in_its_new_place_and_twice_does_no_harm(
    artifacts: Artifacts, elsewhere: Artifacts, source: Path
) -> None:
    ref = artifacts.put(source, "work/v/a/film.mp4")
    assert artifacts.set_aside("work/v", "quarantine/v")
    assert not artifacts.set_aside("work/v", "quarantine/v")
    with elsewhere.local(replace(ref, path="quarantine/v/v/a/film.mp4")) as path:
        assert path.stat().st_size == 12_000
    assert elsewhere.fault(ref) == "work/v/a/film.mp4 is missing"


def test_a_probe_leaves_nothing(artifacts: Artifacts, source: Path) -> None:
    artifacts.put(source, "videos/v.mp4")
    artifacts.probe()
    assert [PurePosixPath(path).name for path in artifacts._fs.find(artifacts._root)] == ["v.mp4"]


def test_a_name_shows_either_the_old_file_or_the_new_one_never_a_part(tmp_path: Path) -> None:
    artifacts, stop, torn = Artifacts(str(tmp_path / "store")), threading.Event(), list[int]()
    versions = []
    for number in range(2):
        versions.append(tmp_path / f"{number}.bin")
        versions[-1].write_bytes(bytes([number]) * (4 + 4 * number) * MEGABYTE)
    ref = artifacts.put(versions[0], "a.bin")
    whole = {path.stat().st_size for path in versions}

    def look() -> None:
        while not stop.is_set():
            size_bytes = len(Path(artifacts.location(ref.path)).read_bytes())
            if size_bytes not in whole:
                torn.append(size_bytes)

    reader = threading.Thread(target=look)
    reader.start()
    for turn in range(30):
        artifacts.put(versions[turn % 2], "a.bin")
    stop.set()
    reader.join()
    assert torn == []


def test_a_disk_that_fills_up_while_storing_leaves_no_file_and_no_part(tmp_path: Path) -> None:
    source, store = tmp_path / "large.bin", tmp_path / "store"
    source.write_bytes(bytes(4 * MEGABYTE))
    with _files_no_larger_than(MEGABYTE), pytest.raises(ArtifactError, match=r"cannot store work/large\.bin"):
        Artifacts(str(store)).put(source, "work/large.bin")
    assert [path for path in store.rglob("*") if path.is_file()] == []


@contextmanager
def _files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """Lets each write beyond this size fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
