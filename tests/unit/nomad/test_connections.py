"""Connections with a deadline: each address gets its share of the time, and no read outlasts the deadline."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Address, Tls
from nomad_exporter.nomad.connections import (
    ConnectTimeout,
    LimitedSocket,
    Network,
    TooManyBytes,
    connect,
    connect_timeout,
    make_pool,
)
from nomad_exporter.nomad.sources import KIB
from tests.support.agents import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # Real sockets and timeouts.

LOOPBACK = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server


@contextlib.contextmanager
def full_listen_queue() -> Iterator[int]:
    """Yield a port whose listen queue is full: a new connection waits until it times out."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def deadline_in(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> Address:
    """Make a host name resolve to several addresses, here the same one with different ports."""

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return Address("http", "nomad.example", 4646)


# Connecting.


def test_connect_opens_tcp_connection(listener: socket.socket) -> None:
    with connect(Address("http", LOOPBACK, port_of(listener)), Network(), deadline_in()) as sock:
        assert sock.getpeername() == listener.getsockname()


def test_connect_opens_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("u") / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with connect(Address("unix", path=str(path)), Network(), deadline_in()) as sock:
            assert sock.getpeername() == str(path)


def test_connect_to_closed_port_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(Address("http", LOOPBACK, free_port()), Network(), deadline_in())


def test_connect_to_missing_socket_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect(Address("unix", path=str(tmp_path / "api.sock")), Network(), deadline_in())


def test_connect_falls_back_to_next_address(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    address = resolve_to(monkeypatch, free_port(), port_of(listener))
    with connect(address, Network(), deadline_in()) as sock:
        assert sock.getpeername() == listener.getsockname()


def test_connect_raises_error_of_last_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listen_queue() as port:
        address = resolve_to(monkeypatch, port, free_port())
        with pytest.raises(ConnectionRefusedError):
            connect(address, Network(), deadline_in(0.2))


def test_connect_to_host_without_address_raises_gaierror(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(socket.gaierror):
        connect(resolve_to(monkeypatch), Network(), deadline_in())


def test_unresponsive_address_leaves_time_for_next_address(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    with (
        full_listen_queue() as port,
        connect(resolve_to(monkeypatch, port, port_of(listener)), Network(), deadline_in(0.5)) as sock,
    ):
        assert sock.getpeername() == listener.getsockname()


@pytest.mark.parametrize("seconds", [0.1, 0.0, -1.0], ids=["in the future", "now", "in the past"])
def test_connect_times_out_at_deadline(seconds: float) -> None:
    with full_listen_queue() as port:
        start = time.monotonic()
        with pytest.raises(ConnectTimeout):
            connect(Address("http", LOOPBACK, port), Network(), start + seconds)

        assert time.monotonic() - start >= seconds


# Reading.


@pytest.fixture
def pair() -> Iterator[tuple[LimitedSocket, socket.socket]]:
    """Both ends of a connection: the exporter's, with enough time, and the agent's."""
    left, right = socket.socketpair()
    with LimitedSocket(left.family, left.type, fileno=left.detach()) as ours, right as theirs:
        ours.deadline = deadline_in()
        yield ours, theirs


def test_read_before_deadline_returns_data(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"H")
    buffer = bytearray(10)
    count = ours.recv_into(buffer)

    assert buffer[:count] == b"H"
    assert ours.received


def test_blocked_read_times_out_at_deadline(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, _ = pair
    ours.deadline = deadline_in(0.05)
    with pytest.raises(TimeoutError):
        ours.recv_into(bytearray(1))

    assert time.monotonic() >= ours.deadline
    assert not ours.received


def test_read_after_deadline_raises_despite_data(
    pair: tuple[LimitedSocket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.deadline = time.monotonic()
    theirs.sendall(b"a byte a second")
    with pytest.raises(TimeoutError):
        ours.recv_into(bytearray(1))


def test_time_until_the_thread_goes_on_is_not_the_agents(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, theirs = pair

    @contextlib.contextmanager
    def waiting() -> Iterator[None]:
        yield
        eventually(lambda: time.monotonic() > ours.deadline)

    ours.deadline, ours.waiting = time.monotonic() + 0.05, waiting
    theirs.sendall(b"ab")

    assert ours.recv_into(bytearray(1)) == 1
    assert ours.deadline > time.monotonic()


def test_end_of_stream_does_not_count_as_received(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()

    assert ours.recv_into(bytearray(1)) == 0
    assert not ours.received


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.5, 0.5), (2.0, 2.0), (3.0, 2.0), (4.0, 2.0), (8.0, 4.0), (60.0, 30.0)]
)
def test_connect_may_take_two_seconds_or_half_of_the_timeout(seconds: float, expected: float) -> None:
    assert connect_timeout(seconds) == expected


def test_connection_leaves_descriptors_to_others(listener: socket.socket) -> None:
    with pytest.raises(OSError, match="Too many open files"):
        connect(Address("http", LOOPBACK, port_of(listener)), Network(max_descriptor=listener.fileno()), deadline_in())


def test_part_of_response_is_read_up_to_its_limit(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.begin_part(2 * KIB)
    theirs.sendall(bytes(2 * KIB + 1))
    ours.recv_into(bytearray(KIB))
    ours.recv_into(bytearray(KIB))

    with pytest.raises(TooManyBytes, match=r"^response is larger than 2 KiB$"):
        ours.recv_into(bytearray(1))


def test_each_part_of_response_has_its_own_limit(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(bytes(2 * KIB))
    for _ in range(2):
        ours.begin_part(KIB)
        ours.recv_into(bytearray(KIB))

    assert ours.received == KIB


# Pools.


def test_abort_ends_blocked_reads(
    pair: tuple[LimitedSocket, socket.socket],
) -> None:
    ours, _ = pair
    agent_pool = make_pool(Address("http", LOOPBACK, 4646), Tls(), None, Network())
    agent_pool.open_sockets.add(ours)
    agent_pool.abort()

    assert ours.recv_into(bytearray(1)) == 0


def test_abort_ignores_closed_sockets(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, theirs = pair
    agent_pool = make_pool(Address("http", LOOPBACK, 4646), Tls(), None, Network())
    agent_pool.open_sockets.update((ours, theirs))
    ours.close()
    agent_pool.abort()

    assert theirs.recv(1) == b""
