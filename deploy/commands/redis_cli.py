"""redis-cli for machines without one: the same words, the same answers, over a plain socket.

`python -m deploy.commands.redis_cli [-u URL | -h HOST -p PORT -n DB] [--user NAME] [-e] [-x] [--raw | --no-raw]
[COMMAND ARGS]`. A password is best in REDISCLI_AUTH: what stands on a command line, every process sees. Without a
command, lines of commands are read from standard input. It knows the second protocol only, and none of the other modes
of its model: no scans, no cluster, no line editing.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Self
from urllib.parse import unquote, urlsplit

import msgspec

from deploy.commands.redis_replies import Reply, ServerError, parse, raw, shown
from schema.settings.masking import masked

_DEFAULT_URL = "redis://127.0.0.1:6379/0"
_CONNECT_TIMEOUT_S = 5.0
#: Commands that go on answering until Ctrl-C.
_ENDLESS = {"MONITOR", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}
#: Commands whose text is shown as it is, also on a terminal.
_PLAIN = {("INFO",), ("LOLWUT",), ("CLIENT", "LIST"), ("CLIENT", "INFO"), ("MEMORY", "DOCTOR"), ("LATENCY", "DOCTOR")}


class Options(msgspec.Struct):
    """What came before the command."""

    host: str
    port: int
    database: int
    user: str
    password: str
    is_raw: bool
    errors_fail: bool = False
    last_from_stdin: bool = False


def main(argv: Sequence[str], url: str = "") -> int:
    """Run one command, or those on standard input; returns the exit code of redis-cli.

    That is 1 when the server cannot be reached, and for an error it answered only with `-e`.
    """
    try:
        options, words = _parse(list(argv), from_url(url or os.environ.get("REDIS_URL") or _DEFAULT_URL))
        if options.last_from_stdin:
            words.append(sys.stdin.read())
        connection = Connection(options)
    except OSError as error:
        print(f"Could not connect to Redis: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"redis-cli: {error}", file=sys.stderr)
        return 1
    with connection:
        try:
            commands = [words] if words else (shlex.split(line) for line in sys.stdin)
            return max((_run(connection, options, command) for command in commands if command), default=0)
        except (OSError, EOFError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0


def _run(connection: Connection, options: Options, command: list[str]) -> int:
    words = tuple(word.upper() for word in command[:2])
    plain = options.is_raw or words[:1] in _PLAIN or words in _PLAIN
    code = 0
    for reply in connection.ask(command):
        if isinstance(reply, ServerError) and options.errors_fail:
            code = 1
        sys.stdout.buffer.write(raw(reply) + b"\n" if plain else shown(reply))
        sys.stdout.flush()
    return code


class Connection:
    """One connection, logged in and on its database."""

    def __init__(self, options: Options) -> None:
        self._socket = socket.create_connection((options.host, options.port), _CONNECT_TIMEOUT_S)
        self._socket.settimeout(None)  # a command may block as long as it likes
        self._file = self._socket.makefile("rb")
        who = [options.user] if options.user else []
        preludes = [["AUTH", *who, options.password]] if options.password else []
        preludes += [["SELECT", str(options.database)]] if options.database else []
        for prelude in preludes:
            for reply in self.ask(prelude):
                if isinstance(reply, ServerError):
                    self.__exit__()
                    raise ConnectionRefusedError(f"{prelude[0]} failed: {reply.text}")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def ask(self, command: list[str]) -> Iterator[Reply]:
        """Send one command; most have one reply, some go on."""
        words = [os.fsencode(word) for word in command]
        sent = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self._socket.sendall(sent)
        yield parse(self._file)
        while command[0].upper() in _ENDLESS:
            yield parse(self._file)


def from_url(url: str) -> Options:
    """Where a URL says the server is; raises ValueError for another kind of URL."""
    parts = urlsplit(url)
    if parts.scheme != "redis" or not parts.hostname:
        raise ValueError(f"got the server {masked('redis_url', url)!r}, expected redis://HOST:PORT/DATABASE")
    return Options(
        host=parts.hostname,
        port=parts.port or 6379,
        database=int(parts.path.strip("/") or 0),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or os.environ.get("REDISCLI_AUTH", "")),
        is_raw=not sys.stdout.isatty(),
    )


def _parse(words: list[str], options: Options) -> tuple[Options, list[str]]:
    """Options end at the first word that is none, as in redis-cli."""
    while words and words[0].startswith("-"):
        option = words.pop(0)
        match option:
            case "--raw" | "--no-raw":
                options.is_raw = option == "--raw"
            case "-e":
                options.errors_fail = True
            case "-x":
                options.last_from_stdin = True
            case "-h" | "-p" | "-n" | "-a" | "--pass" | "--user" | "-u" if words:
                options = _with(options, option, words.pop(0))
            case _:
                raise ValueError(
                    f"there is no option {option} here; expected -h -p -n -a --user -u -e -x --raw --no-raw"
                )
    return options, words


def _with(options: Options, option: str, value: str) -> Options:
    match option:
        case "-h":
            options.host = value
        case "-p":
            options.port = int(value)
        case "-n":
            options.database = int(value)
        case "-a" | "--pass":
            options.password = value
        case "--user":
            options.user = value
        case _:
            options = from_url(value)
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
