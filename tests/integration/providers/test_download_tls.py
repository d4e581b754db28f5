"""Downloads over real TLS: the connection goes to the address that was looked at, the certificate is the name's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.providers.media.download import Downloads, _resolved, is_public
from schema.errors import PermanentError, RetryableError
from schema.settings.providers import Providers
from tests.fakes import pictures

HOST = "images.example.org"


def certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate of this host, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def pem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = certificate(tmp_path, HOST)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return iter([path])


class Server:
    """Answers each request with the next reply, and remembers what it was asked."""

    def __init__(self, pem_path: Path, *replies: bytes) -> None:
        self.replies = list(replies)
        self.asked: list[bytes] = []
        self.port = 0
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(pem_path)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.replies.pop(0))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(pem_path: Path, *replies: bytes) -> AsyncIterator[Server]:
    server = Server(pem_path, *replies)
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=server.context) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


def reply(body: bytes, media_type: str = "image/jpeg", more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def moved(where: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


async def to_loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def downloads(**others: int) -> Downloads:
    return Downloads(
        Providers(**others),  # type: ignore[arg-type]
        resolve=to_loopback,
        allows=lambda address: address == "127.0.0.1",
    )


async def test_the_name_is_asked_for_and_proved_at_the_address(pem: Iterator[Path], tmp_path: Path) -> None:
    picture = pictures.photo(1, 64, 48)
    async with serving(next(pem), reply(picture)) as server:
        fetched = await downloads().fetch(f"https://{HOST}:{server.port}/a.jpg", tmp_path / "a.jpg", kind="image")
    assert (fetched.size_bytes, fetched.media_type) == (len(picture), "image/jpeg")
    assert f"host: {HOST}:{server.port}".encode() in server.asked[0].lower()


async def test_a_certificate_of_another_name_is_refused(pem: Iterator[Path], tmp_path: Path) -> None:
    async with serving(next(pem), reply(pictures.photo(1, 64, 48))) as server:
        with pytest.raises(RetryableError, match="ConnectError"):
            await downloads().fetch(f"https://other.example.org:{server.port}/a", tmp_path / "a", kind="image")
    assert server.asked == []


async def test_a_redirect_is_followed_and_looked_at_anew(pem: Iterator[Path], tmp_path: Path) -> None:
    picture = pictures.photo(1, 64, 48)
    async with serving(next(pem), moved("/b.jpg"), reply(picture)) as server:
        await downloads().fetch(f"https://{HOST}:{server.port}/a.jpg", tmp_path / "a", kind="image")
    assert [asked.split()[1] for asked in server.asked] == [b"/a.jpg", b"/b.jpg"]


@pytest.mark.parametrize("where", ["http://images.example.org/b", "https://10.0.0.1/b", "file:///etc/passwd"])
async def test_a_redirect_elsewhere_is_refused(pem: Iterator[Path], tmp_path: Path, where: str) -> None:
    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"] if host == HOST else ["10.0.0.1"]

    careful = Downloads(Providers(), resolve=resolve, allows=lambda address: address == "127.0.0.1")
    async with serving(next(pem), moved(where)) as server:
        with pytest.raises(PermanentError):
            await careful.fetch(f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image")
    assert len(server.asked) == 1


async def test_redirects_in_a_circle_end(pem: Iterator[Path], tmp_path: Path) -> None:
    async with serving(next(pem), *(moved("/a") for _ in range(9))) as server:
        with pytest.raises(PermanentError, match="more than 3 redirects"):
            await downloads().fetch(f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image")
    assert len(server.asked) == 4


async def test_a_size_that_was_lied_about_is_noticed_on_the_way(pem: Iterator[Path], tmp_path: Path) -> None:
    body = b"\xff\xd8\xff" + b"x" * 5000
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + f"{len(body):x}\r\n".encode() + body
    async with serving(next(pem), chunked + b"\r\n0\r\n\r\n") as server:
        with pytest.raises(PermanentError, match="more than 1000 bytes"):
            await downloads(download_max_bytes=1000).fetch(
                f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image"
            )


async def test_a_packed_file_is_refused(pem: Iterator[Path], tmp_path: Path) -> None:
    async with serving(next(pem), reply(b"\x1f\x8b", more="Content-Encoding: gzip\r\n")) as server:
        with pytest.raises(PermanentError, match="packed"):
            await downloads().fetch(f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image")


def left(folder: Path) -> list[Path]:
    """What there is of a download."""
    return list(folder.glob("a*"))


async def test_a_size_that_is_said_and_too_large_is_not_even_read(pem: Iterator[Path], tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 99999999999\r\n\r\n"
    async with serving(next(pem), head) as server:
        with pytest.raises(PermanentError, match="more than 1000 bytes"):
            await downloads(download_max_bytes=1000).fetch(
                f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image"
            )
    assert left(tmp_path) == []


async def test_a_file_that_is_shorter_than_it_said_is_none(pem: Iterator[Path], tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n\xff\xd8\xff"
    async with serving(next(pem), head) as server:
        with pytest.raises(RetryableError):
            await downloads().fetch(f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image")
    assert left(tmp_path) == []


async def test_a_body_without_an_end_ends_at_the_bound(pem: Iterator[Path], tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = (b"10000\r\n" + b"\xff" * 65_536 + b"\r\n") * 40  # more than is read before the bound is passed
    async with serving(next(pem), head + body) as server:
        with pytest.raises(PermanentError, match="more than 1000000 bytes"):
            await downloads(download_max_bytes=1_000_000).fetch(
                f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image"
            )
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "where", ["https://2130706433/b", "https://[::ffff:10.0.0.1]/b", "//localhost/b", "gopher://x/"]
)
async def test_a_redirect_to_this_machine_in_disguise_is_refused(
    pem: Iterator[Path], tmp_path: Path, where: str
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == HOST else await _resolved(host, port)

    first = iter([True])
    careful = Downloads(Providers(), resolve=resolve, allows=lambda address: next(first, False) or is_public(address))
    async with serving(next(pem), moved(where)) as server:
        with pytest.raises(PermanentError):
            await careful.fetch(f"https://{HOST}:{server.port}/a", tmp_path / "a", kind="image")
    assert len(server.asked) == 1
