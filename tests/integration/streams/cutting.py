"""A TCP proxy before the server that can swallow one reply, or be cut altogether."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class CuttingProxy:
    """Forwards until told otherwise; one thread a direction and connection."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._server = (address.hostname or "127.0.0.1", address.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._sockets: list[socket.socket] = []
        self._swallow: bytes | None = None
        self._mute: socket.socket | None = None
        self._cut = False
        #: Set once a reply was swallowed.
        self.swallowed = threading.Event()

    def swallow_reply_to(self, pattern: bytes) -> None:
        """The next request that holds `pattern` reaches the server, its reply does not come back."""
        self.swallowed.clear()
        self._swallow = pattern

    def cut(self) -> None:
        """Breaks all connections and takes no new ones."""
        self._cut = True
        self._close_connections()

    def mend(self) -> None:
        """Forwards again."""
        self._cut = False

    def __enter__(self) -> Self:
        """Starts."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends, with all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._close_connections()

    def _close_connections(self) -> None:
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._sockets.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                client.close()
                continue
            upstream = socket.create_connection(self._server)
            self._sockets += [client, upstream]
            threading.Thread(target=self._forward, args=(client, upstream, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(upstream, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, requests: bool) -> None:  # noqa: FBT001 - a thread's argument
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                if requests and self._swallow is not None and self._swallow in data:
                    self._swallow, self._mute = None, source
                    source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    return
                if not requests and target is self._mute:
                    self.swallowed.set()
                    return
                target.sendall(data)
