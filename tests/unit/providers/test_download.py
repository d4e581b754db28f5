"""Which addresses a download may go to, and that it goes to the one that was looked at."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from actors.providers.media.download import Downloads, is_public, media_type
from schema.errors import PermanentError, RetryableError
from schema.settings.providers import Providers


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104 - nothing is bound
        "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:0001::", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "fec0::1", "::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::1", "5f00::1", "100::1", "3fff::1", "192.88.99.1",
        "198.18.0.1", "2001:0:7f00:1::", "2001:10::1", "240.0.0.1",
        "not an address", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_open_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::6810:84e5", "::ffff:8.8.8.8", "151.101.1.140"])
def test_an_address_of_the_open_internet_is_taken(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://images.example.org/a.jpg",
        "file:///etc/passwd",
        "ftp://images.example.org/a.jpg",
        "https://user@images.example.org/a.jpg",
        "https:///a.jpg",
        "//images.example.org/a.jpg",
    ],
)
async def test_only_https_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(PermanentError, match="expected https"):
        await Downloads(Providers()).fetch(url, tmp_path / "file", kind="image")


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], []])
async def test_a_host_with_any_private_address_is_refused(tmp_path: Path, addresses: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("images.example.org", 443)
        return addresses

    with pytest.raises(PermanentError, match=r"images\.example\.org is not a public host"):
        await Downloads(Providers(), resolve=resolve).fetch(
            "https://images.example.org/a.jpg", tmp_path / "file", kind="image"
        )


#: This machine and its neighbours, as people who mean no good spell them; the system's own resolver reads them.
DISGUISED = [
    "https://127.0.0.1/a", "https://127.1/a", "https://2130706433/a", "https://0x7f000001/a", "https://0177.0.0.1/a",
    "https://0x7f.0.0.1/a", "https://0/a", "https://localhost/a", "https://LOCALHOST/a", "https://[::1]/a",
    "https://[::ffff:127.0.0.1]/a", "https://[::ffff:7f00:1]/a", "https://[0:0:0:0:0:0:0:1]/a", "https://[fe80::1]/a",
    "https://169.254.169.254/latest/meta-data/", "https://2852039166/", "https://[::ffff:a9fe:a9fe]/",
    "https://10.0.0.1:6379/", "https://[fec0::1]/", "https://\uff11\uff12\uff17.0.0.1/a", "https://127。0。0。1/a",
]  # fmt: skip


async def test_this_machine_in_disguise_is_refused(tmp_path: Path) -> None:
    fetching = Downloads(Providers())
    for url in DISGUISED:
        with pytest.raises(PermanentError, match="is not a public host"):
            await fetching.fetch(url, tmp_path / "file", kind="image")


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example.org@127.0.0.1/a",
        "https://images.example.org:x@127.0.0.1/a",
        "https://images.example.org\\@127.0.0.1/a",
        "https://@127.0.0.1/a",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:image/png;base64,AAAA",
        "HTTPS://",
        "https://%31%32%37.0.0.1/a",
    ],
)
async def test_an_address_that_two_parsers_may_read_differently_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises((PermanentError, RetryableError)):
        await Downloads(Providers()).fetch(url, tmp_path / "file", kind="image")


async def test_a_name_that_changes_after_it_was_looked_at_changes_nothing() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def resolve(_host: str, _port: int) -> list[str]:
        return next(answers)

    async with httpx.AsyncClient() as client:
        request = await Downloads(Providers(), resolve=resolve)._pinned(client, "https://images.example.org/a")
    assert request.url.host == "8.8.8.8", "nobody resolves it again"


@pytest.mark.parametrize("base_url", ["https://api.pexels.com", "http://127.0.0.1:9/pexels"])
async def test_only_the_very_origin_of_the_settings_is_trusted_on_this_machine(tmp_path: Path, base_url: str) -> None:
    fetching = Downloads(Providers(pexels_base_url=base_url))
    for url in (
        "http://127.0.0.1:90/a", "http://127.0.0.1:9@evil.example/a", "http://127.0.0.1:9.evil.example/a",
        "http://127.0.0.1:8/a", "http://localhost:9/a",
    ):  # fmt: skip
        with pytest.raises(PermanentError):
            await fetching.fetch(url, tmp_path / "file", kind="image")


@pytest.mark.parametrize(("address", "host"), [("8.8.8.8", "8.8.8.8"), ("2606:4700::1", "2606:4700::1")])
async def test_the_connection_goes_to_the_address_that_was_looked_at(address: str, host: str) -> None:
    looked_up = []

    async def resolve(name: str, _port: int) -> list[str]:
        looked_up.append(name)
        return [address]

    async with httpx.AsyncClient() as client:
        request = await Downloads(Providers(), resolve=resolve)._pinned(client, "https://images.example.org:8443/a?b=c")
    assert looked_up == ["images.example.org"]
    assert (request.url.host, request.url.port, request.url.raw_path) == (host, 8443, b"/a?b=c")
    assert request.headers["host"] == "images.example.org:8443"
    assert request.extensions["sni_hostname"] == "images.example.org"
    assert request.extensions["timeout"]["connect"] is not None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00", ""),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_a_file_is_what_its_first_bytes_say(head: bytes, kind: str) -> None:
    assert media_type(head) == kind
