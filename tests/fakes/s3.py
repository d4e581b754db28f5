"""A store that speaks S3, in a process of its own: moto's server, which keeps everything in memory.

    with running(folder) as store:
        Artifacts(store.url("bucket"), store.access())

It answers whoever comes until `refuse_all`; what it has may be changed by `write`, behind the back of whoever sent it.
"""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from deploy.launch.ports import free_ports
from deploy.launch.program import Program
from deploy.launch.program import running as run
from schema.artifacts import Access

KEY_ID: Final = "AKIAEXAMPLE"
SECRET: Final = "of-nobody"  # noqa: S105 - it opens nothing
REGION: Final = "us-east-1"
_EVERYBODY: Final = "inf"
#: It does not look at the signature; who has none may not touch what others have.
_SIGNED: Final = {"authorization": f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20261125/{REGION}/s3/aws4_request"}


class Store:
    """One that runs; `process` may be stopped and continued."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.endpoint, self.process, self._port = f"http://127.0.0.1:{port}", process, port

    def bucket(self, name: str) -> str:
        """Make a bucket; returns its URL."""
        self._ask("PUT", f"/{name}")
        return f"s3://{name}"

    def remove_bucket(self, name: str) -> None:
        """Remove an empty one."""
        self._ask("DELETE", f"/{name}")

    def access(self, cache: Path | None = None) -> Access:
        """How to come here."""
        return access(self._port, cache)

    def environ(self, url: str) -> dict[str, str]:
        """The settings that lead a factory here."""
        return {
            "YTEMPIRE_ARTIFACTS_URL": url,
            "YTEMPIRE_ARTIFACTS_ENDPOINT": self.endpoint,
            "YTEMPIRE_ARTIFACTS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def read(self, path: str) -> bytes | None:
        """What is at bucket/key, as the store has it; None: nothing."""
        status, said = self._answer("GET", f"/{path}")
        return said if status == http.client.OK else None

    def write(self, path: str, content: bytes) -> None:
        """Put other bytes there."""
        self._ask("PUT", f"/{path}", content)

    def names(self, bucket: str) -> list[str]:
        """The keys in a bucket, in order; up to a thousand."""
        said = self._ask("GET", f"/{bucket}?list-type=2").decode()
        return [part.partition("</Key>")[0] for part in said.split("<Key>")[1:]]

    def unfinished(self, bucket: str) -> int:
        """How many uploads in pieces were begun and not ended."""
        return self._ask("GET", f"/{bucket}?uploads").decode().count("<UploadId>")

    def refuse_all(self, *, refuse: bool = True) -> None:
        """Know no key, or ask for none again."""
        self._ask("POST", "/moto-api/reset-auth", b"0" if refuse else _EVERYBODY.encode())

    def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        status, said = self._answer(method, path, body)
        assert status < http.client.MULTIPLE_CHOICES, said
        return said

    def _answer(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, path, body, _SIGNED)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def access(port: int, cache: Path | None = None) -> Access:
    """How to come to one on this port, running or not."""
    return Access(
        endpoint=f"http://127.0.0.1:{port}",
        region=REGION,
        key_id=KEY_ID,
        secret=SECRET,
        cache_dir="" if cache is None else str(cache),
    )


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[Store]:
    """One that runs until the block ends; what it says is in the folder."""
    port = port or free_ports()
    program = Program(
        name="s3",
        argv=(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        environ={"MOTO_ACCOUNT_ID": "123456789012"},
        answers=partial(_answers, port),
    )
    with run(program, folder / "s3.log") as process:
        yield Store(port, process)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
