from __future__ import annotations

import socket

from deploy.launch import ports


def test_a_port_somebody_listens_on_is_not_free_and_another_is_offered() -> None:
    with socket.create_server(("127.0.0.1", ports.free_ports())) as server:
        taken = server.getsockname()[1]
        assert not ports.is_free(taken)
        assert ports.is_free(ports.next_free(taken))
    assert ports.is_free(taken)


def test_free_ports_are_in_a_row() -> None:
    first = ports.free_ports(12)
    servers = [socket.create_server(("127.0.0.1", port)) for port in range(first, first + 12)]
    for server in servers:
        server.close()
