"""The wire breaks as it is told, and mends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy
from tests.faults.through import led

_SOON_S, _NEVER_S = 5.0, 0.1


class _Echo:
    """A server that gives back what it gets; it notes who left."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.left = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._listening.accept()[0],), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while piece := client.recv(1 << 16):
                client.sendall(piece)
        self.left.release()

    def close(self) -> None:
        """Nobody else is let in."""
        with contextlib.suppress(OSError):  # it is called twice
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[_Echo]:
    made = _Echo()
    yield made
    made.close()


@pytest.fixture
def proxy(echo: _Echo) -> Iterator[Proxy]:
    made = Proxy(echo.port)
    yield made
    made.close()


@contextlib.contextmanager
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=_SOON_S) as made:
        yield made


def said(by: socket.socket, word: bytes) -> bytes:
    """What comes back for it."""
    by.sendall(word)
    answer = b""
    while len(answer) < len(word) and (piece := by.recv(len(word))):
        answer += piece
    return answer


def hears_nothing(by: socket.socket, word: bytes) -> bool:
    by.settimeout(_NEVER_S)
    try:
        return not said(by, word)
    except TimeoutError:
        return True
    finally:
        by.settimeout(_SOON_S)


def test_everything_passes_in_both_directions_and_so_does_the_end(echo: _Echo, proxy: Proxy) -> None:
    with client(proxy) as one, client(proxy) as another:
        assert said(one, b"x" * 300_000) == b"x" * 300_000
        assert said(another, b"also") == b"also"
    assert echo.left.acquire(timeout=_SOON_S)
    assert echo.left.acquire(timeout=_SOON_S)


def test_a_slow_wire_takes_its_time_for_answers_and_by_size(proxy: Proxy) -> None:
    with client(proxy) as one:
        proxy.slows(latency_s=0.05, bytes_per_s=10_000)
        began_s = time.monotonic()
        assert said(one, b"x" * 500) == b"x" * 500  # there and back
        assert time.monotonic() - began_s >= 0.05 + 2 * 500 / 10_000


def test_what_is_lost_is_never_heard_of_and_who_lost_it_is_cut_off_when_the_wire_is_mended(
    echo: _Echo, proxy: Proxy
) -> None:
    with client(proxy) as before, client(proxy) as silent:
        assert said(before, b"first") == b"first"
        assert said(silent, b"first") == b"first"
        proxy.loses()
        assert hears_nothing(before, b"second")
        with client(proxy) as during:
            assert hears_nothing(during, b"third")
            proxy.passes()
            for lost in (before, during):
                with pytest.raises(ConnectionResetError):
                    lost.recv(1)
        assert said(silent, b"fourth") == b"fourth"  # it has lost nothing
        assert not echo.left.acquire(timeout=_NEVER_S)  # the server has not heard that anybody is gone
        proxy.cut()
        assert echo.left.acquire(timeout=_SOON_S)


def test_a_cut_wire_resets_who_is_there_and_lets_new_ones_in(proxy: Proxy) -> None:
    with client(proxy) as one:
        assert said(one, b"first") == b"first"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    with client(proxy) as another:
        assert said(another, b"second") == b"second"


def test_one_that_refuses_lets_nobody_in_until_it_passes(proxy: Proxy) -> None:
    proxy.refuses()
    with pytest.raises(ConnectionRefusedError), client(proxy):
        pass
    proxy.passes()
    with client(proxy) as one:
        assert said(one, b"again") == b"again"


def test_a_server_that_is_away_is_a_reset(echo: _Echo, proxy: Proxy) -> None:
    echo.close()
    with pytest.raises(ConnectionResetError), client(proxy) as one:  # it may come before we are through
        one.recv(1)


def test_a_process_is_led_to_other_ports_whatever_its_password_says() -> None:
    environ = {
        "REDIS_URL": "redis://actor:6379@127.0.0.1:6379/0",
        "DATABASE_URL": "postgresql://ytempire@127.0.0.1:5432/ytempire",
    }
    assert led(environ, {6379: 1, 5432: 2}) == {
        "REDIS_URL": "redis://actor:6379@127.0.0.1:1/0",
        "DATABASE_URL": "postgresql://ytempire@127.0.0.1:2/ytempire",
    }
