"""Hostile clients: a table of what each client sends, and of the status that the exporter must respond with."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.support.waiting import PATIENCE

CLOSED = 0
"""The expected status if the connection is closed without a response."""

GET = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /-/healthy HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = b"x" * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HostileClient:
    """A hostile client: the bytes that it sends, and the ``status`` of the first response."""

    parts: Callable[[], Iterator[bytes]]
    status: int

    def run(self, address: tuple[str, int]) -> int:
        """Send the bytes, as far as the exporter reads them, and return the status of the first response."""
        with socket.create_connection(address, timeout=PATIENCE) as client:
            with contextlib.suppress(ConnectionError):
                for part in self.parts():
                    client.sendall(part)
            return read_status(client)


def read_status(client: socket.socket) -> int:
    """Return the status of a response; ``CLOSED`` if the connection ends before the status line."""
    response = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n" not in response and (read := client.recv(65536)):
            response += read
    return int(response.split(b" ")[1]) if response else CLOSED


def sending(*parts: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(parts)


def repeating(head: bytes, part: bytes, number: int) -> Callable[[], Iterator[bytes]]:
    """Return what sends ``head``, and then ``part`` as often as ``number``."""
    return lambda: itertools.chain([head], itertools.repeat(part, number))


CLIENTS: Mapping[str, HostileClient] = {
    # Heads.
    "repeats a header 200,000 times": HostileClient(sending(GET, b"a:b\r\n" * 200_000, b"\r\n"), 431),
    "sends 101 headers": HostileClient(sending(GET, b"a:b\r\n" * 100, b"\r\n"), 431),
    "sends a header of 15 MiB": HostileClient(repeating(GET + b"X: ", MEBIBYTE, 15), 431),
    "sends a header name of 15 MiB": HostileClient(repeating(GET, MEBIBYTE, 15), 431),
    "sends a target of 15 MiB": HostileClient(repeating(b"GET /?", MEBIBYTE, 15), 431),
    "sends 15 MiB of empty lines": HostileClient(repeating(b"", b"\r\n" * 512 * 1024, 15), 431),
    "sends 40,000 requests at once": HostileClient(repeating(b"", (GET + b"\r\n") * 4_000, 10), CLOSED),
    "accepts 30,000 formats": HostileClient(sending(GET, b"Accept: ", b";," * 30_000, b"\r\n\r\n"), 200),
    # Protocols.
    "speaks SSH": HostileClient(sending(b"SSH-2.0-OpenSSH_9.6\r\n"), 400),
    "speaks TLS": HostileClient(sending(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400),
    "sends NUL bytes": HostileClient(repeating(b"", bytes(1024 * 1024), 15), 400),
    "sends two lengths": HostileClient(sending(GET, b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400),
    "sends a length and chunks": HostileClient(sending(POST, b"Content-Length: 1\r\n", CHUNKED), 400),
}
"""Every hostile client, by its behaviour."""
