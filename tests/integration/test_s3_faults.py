"""Faults of a store over S3, each made by hand: what was asked of it says what is wrong, and whose fault it is."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.launch.ports import free_ports
from schema.artifacts import Artifacts, remote
from schema.documents import ArtifactRef
from schema.errors import ArtifactError, StoreUnavailableError
from tests.fakes import s3

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MEGABYTE = 1 << 20


@pytest.fixture
def bucket() -> str:
    return f"b{uuid.uuid4().hex}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.bin"
    file.write_bytes(b"three hearts" * 1000)
    return file


def deeds(artifacts: Artifacts, source: Path, ref: ArtifactRef) -> list[Callable[[], object]]:
    """Everything that asks the store."""
    return [
        artifacts.reach,
        artifacts.probe,
        lambda: artifacts.put(source, "work/v/b.bin"),
        lambda: artifacts.promote(ref, "videos/v.mp4"),
        lambda: artifacts.opened(ref),
        lambda: artifacts.fault(ref),
        lambda: artifacts.local(ref).__enter__(),
        lambda: artifacts.set_aside("work/v", "quarantine/v"),
    ]


def all_unavailable(artifacts: Artifacts, source: Path, ref: ArtifactRef, because: str) -> None:
    for deed in deeds(artifacts, source, ref):
        with pytest.raises(StoreUnavailableError, match=because):
            deed()


def test_a_key_that_is_refused_is_the_stores_fault_and_work_goes_on_when_it_is_known(
    s3_store: s3.Store, bucket: str, source: Path
) -> None:
    url = s3_store.bucket(bucket)
    ref = Artifacts(url, s3_store.access()).put(source, "work/v/a.bin")
    host = Artifacts(url, s3_store.access())
    s3_store.refuse_all()
    try:
        all_unavailable(host, source, ref, "the store refuses us")
    finally:
        s3_store.refuse_all(refuse=False)
    with host.local(ref) as path:
        assert path.read_bytes() == source.read_bytes()


def test_a_bucket_that_is_not_there_is_named(s3_store: s3.Store, bucket: str, source: Path) -> None:
    host = Artifacts(f"s3://{bucket}/below", s3_store.access())
    ref = ArtifactRef("work/v/a.bin", 5, "0" * 64)
    for deed in deeds(host, source, ref)[:-1]:
        with pytest.raises(StoreUnavailableError, match=f"there is no bucket '{bucket}'"):
            deed()


def test_an_endpoint_that_is_away_is_waited_for_and_a_file_in_the_cache_is_read_meanwhile(
    tmp_path: Path, source: Path, bucket: str
) -> None:
    port = free_ports()
    host = Artifacts(f"s3://{bucket}", s3.access(port, tmp_path / "cache"))
    nowhere = ArtifactRef("work/v/a.bin", 5, "0" * 64)
    all_unavailable(host, source, nowhere, "cannot be used: Could not connect")
    with s3.running(tmp_path, port) as store:
        store.bucket(bucket)
        ref = host.put(source, "work/v/a.bin")
    with host.local(ref) as path:
        assert path.read_bytes() == source.read_bytes()


def test_an_endpoint_that_says_nothing_is_given_up_on(
    s3_store: s3.Store, bucket: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_READ_S", 0.5)
    url = s3_store.bucket(bucket)
    host = Artifacts(url, s3_store.access())
    ref = host.put(source, "work/v/a.bin")
    s3_store.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            host.put(source, "work/v/b.bin")
    finally:
        s3_store.process.send_signal(signal.SIGCONT)
    assert host.fault(ref) == ""


def test_wrong_bytes_in_the_store_are_this_files_fault_and_are_never_handed_out(
    s3_store: s3.Store, bucket: str, source: Path, tmp_path: Path
) -> None:
    url = s3_store.bucket(bucket)
    ref = Artifacts(url, s3_store.access()).put(source, "videos/v.mp4")
    s3_store.write(f"{bucket}/videos/v.mp4", b"x" * ref.size_bytes)
    host = Artifacts(url, s3_store.access(tmp_path / "cache"))
    with pytest.raises(ArtifactError, match=r"videos/v\.mp4 has changed") as caught, host.local(ref):
        pass
    assert not isinstance(caught.value, StoreUnavailableError)
    assert "has changed" in host.fault(ref)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


_PUTS = """
import sys
from pathlib import Path
from schema.artifacts import Access, Artifacts
url, endpoint, source = sys.argv[1:]
access = Access(endpoint=endpoint, region="us-east-1", key_id="k", secret="s")
Artifacts(url, access).put(Path(source), "videos/v.mp4")
"""


def test_an_upload_killed_half_way_shows_nothing_under_its_name(
    s3_store: s3.Store, bucket: str, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(96 * MEGABYTE))
    url = s3_store.bucket(bucket)
    with subprocess.Popen([sys.executable, "-c", _PUTS, url, s3_store.endpoint, str(large)], cwd=ROOT) as process:
        while not s3_store.unfinished(bucket) and process.poll() is None:
            pass  # each look is a request, and takes its time
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it was faster"
    assert s3_store.names(bucket) == []
