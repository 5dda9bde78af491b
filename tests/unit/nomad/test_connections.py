"""Connections under a deadline: every address is tried in its share of the time, and no read outlasts it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Address, Tls
from nomad_exporter.nomad.connections import BoundedSocket, ConnectTimeout, connect, pool
from tests.support.agents import free_port

LOOPBACK = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as made:
        yield made


@contextlib.contextmanager
def full() -> Iterator[int]:
    """A port whose listener has no room for one connection more; a new one waits until it gives up."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def resolves(monkeypatch: pytest.MonkeyPatch, *ports: int) -> Address:
    """A host with several addresses, here told from each other by their ports."""

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return Address("http", "nomad.example", 4646)


# Connecting.


def test_a_tcp_connection_is_made(listener: socket.socket) -> None:
    with connect(Address("http", LOOPBACK, port_of(listener)), soon()) as made:
        assert made.getpeername() == listener.getsockname()


def test_a_unix_socket_is_connected_to(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("u") / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with connect(Address("unix", path=str(path)), soon()) as made:
            assert made.getpeername() == str(path)


def test_a_port_without_a_listener_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(Address("http", LOOPBACK, free_port()), soon())


def test_a_socket_that_is_missing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect(Address("unix", path=str(tmp_path / "api.sock")), soon())


def test_of_several_addresses_the_first_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    address = resolves(monkeypatch, free_port(), port_of(listener))
    with connect(address, soon()) as made:
        assert made.getpeername() == listener.getsockname()


def test_where_no_address_answers_the_last_one_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with full() as port:
        address = resolves(monkeypatch, port, free_port())
        with pytest.raises(ConnectionRefusedError):
            connect(address, soon(0.2))


def test_a_host_without_an_address_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(socket.gaierror):
        connect(resolves(monkeypatch), soon())


def test_an_address_that_does_not_answer_leaves_the_next_one_its_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    with full() as port, connect(resolves(monkeypatch, port, port_of(listener)), soon(0.5)) as made:
        assert made.getpeername() == listener.getsockname()


@pytest.mark.parametrize("seconds", [0.1, 0.0, -1.0], ids=["some time", "no time", "less than none"])
def test_a_connection_that_does_not_come_about_ends_with_its_time(seconds: float) -> None:
    with full() as port:
        began = time.monotonic()
        with pytest.raises(ConnectTimeout):
            connect(Address("http", LOOPBACK, port), began + seconds)

        assert time.monotonic() - began >= seconds


# Reading.


@pytest.fixture
def pair() -> Iterator[tuple[BoundedSocket, socket.socket]]:
    """Our end of a connection, with time enough, and the agent's."""
    left, right = socket.socketpair()
    with BoundedSocket(left.family, left.type, fileno=left.detach()) as ours, right as theirs:
        ours.deadline = soon()
        yield ours, theirs


def test_what_comes_in_time_is_read(pair: tuple[BoundedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"H")
    buffer = bytearray(10)
    count = ours.recv_into(buffer)

    assert buffer[:count] == b"H"
    assert ours.received


def test_a_read_that_waits_ends_at_the_deadline(pair: tuple[BoundedSocket, socket.socket]) -> None:
    ours, _ = pair
    ours.deadline = soon(0.05)
    with pytest.raises(TimeoutError):
        ours.recv_into(bytearray(1))

    assert time.monotonic() >= ours.deadline
    assert not ours.received


def test_after_the_deadline_nothing_is_read_though_something_is_there(
    pair: tuple[BoundedSocket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.deadline = time.monotonic()
    theirs.sendall(b"a byte a second")
    with pytest.raises(TimeoutError):
        ours.recv_into(bytearray(1))


def test_an_end_is_read_as_an_end_and_is_nothing_heard(pair: tuple[BoundedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()

    assert ours.recv_into(bytearray(1)) == 0
    assert not ours.received


# Pools.


def test_cutting_the_connections_of_a_pool_ends_a_read_of_each(
    pair: tuple[BoundedSocket, socket.socket],
) -> None:
    ours, _ = pair
    agents = pool(Address("http", LOOPBACK, 4646), Tls(), None)
    agents.live.add(ours)
    agents.abort()

    assert ours.recv_into(bytearray(1)) == 0


def test_cutting_minds_no_connection_that_is_closed_already(pair: tuple[BoundedSocket, socket.socket]) -> None:
    ours, theirs = pair
    agents = pool(Address("http", LOOPBACK, 4646), Tls(), None)
    agents.live.update((ours, theirs))
    ours.close()
    agents.abort()

    assert theirs.recv(1) == b""
