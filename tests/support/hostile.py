"""The table of hostile agents: what each does with a connection, and what the exporter makes of it."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nomad_exporter.nomad.agent import Address, Scheme
from tests.support.agents import Script, free_port, scripted
from tests.support.recordings import situation

USABLE = "none"
"""The reason of those whose answers are answers in spite of all."""

SERVER = situation("2.0.5/healthy/s1-follower")

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

MEGABYTE = b"x" * 1024 * 1024
NAUGHTY = 'a "quoted" \\ back\\slashed\\\\ \n new\r\nline, {braces="="} # HELP \t\0\x1b[31m\x7f'
PLANES = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0x7E, 0x2028, 0xFEFF, 0xFFFD, 0xFFFE))


@dataclass(frozen=True, slots=True)
class Hostile:
    """One agent: its ``script``, None where nothing listens, and the ``reason`` for which ``source`` then fails."""

    script: Script | None
    reason: str
    source: str = "self"
    scheme: Scheme = "http"


@contextlib.contextmanager
def hostile_agents() -> Iterator[Mapping[str, Address]]:
    """All agents of the table at once, their addresses by name."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(_listening(row)) for name, row in HOSTILE.items()}


@contextlib.contextmanager
def _listening(row: Hostile) -> Iterator[Address]:
    if row.script is None:
        yield Address(row.scheme, "127.0.0.1", free_port())
        return
    with scripted(row.script) as address:
        yield Address(row.scheme, address.host, address.port)


# Scripts.


def saying(*parts: bytes) -> Script:
    """Reads a request, says this and closes."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)

    return script


def whole(body: bytes, head: bytes = b"HTTP/1.1 200 OK", headers: bytes = b"") -> bytes:
    """An answer whose length is told truly."""
    return b"%b\r\n%bContent-Length: %d\r\n\r\n%b" % (head, headers, len(body), body)


def hanging(said: bytes = b"") -> Script:
    """Says so much and then nothing."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)
        over.wait()

    return script


def silent(_: socket.socket, over: threading.Event) -> None:
    """Accepts and says nothing, and reads nothing either."""
    over.wait()


def dripping(said: bytes, drops: bytes) -> Script:
    """Says so much at once and then the drops, over and over, a byte a second."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)
        for drop in itertools.cycle(drops):
            connection.sendall(bytes([drop]))
            if over.wait(1.0):
                return

    return script


def resetting(said: bytes = b"") -> Script:
    """Says so much and ends without a farewell, once it was heard."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)
        over.wait(0.05 if said else 0.0)  # A reset throws away what was not read yet.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def resetting_at_once(connection: socket.socket, _: threading.Event) -> None:
    """Ends without a farewell before it was asked anything."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def flooding(head: bytes, parts: Callable[[], Iterator[bytes]]) -> Script:
    """Says the head and then all the parts, as fast as they are read."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        for part in parts():
            if over.is_set():
                return
            connection.sendall(part)

    return script


def answering(bodies: Mapping[str, bytes], headers: bytes = b"", version: bytes = b"HTTP/1.1") -> Script:
    """A well server, but for these bodies by path and for these headers."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        request = connection.recv(65536)
        if not request:
            return
        path = request.split(b" ")[1].decode()
        body = bodies.get(path.partition("?")[0], SERVER.answer(path).body)
        connection.sendall(whole(body, version + b" 200 OK", headers))

    return script


def of_itself(body: bytes | Mapping[str, Any]) -> Script:
    """A well server, but for what it says of itself."""
    return answering({"/v1/agent/self": body if isinstance(body, bytes) else json.dumps(body).encode()})


def redirecting(location: bytes) -> Script:
    return saying(whole(b"", b"HTTP/1.1 307 Temporary Redirect", b"Location: %b\r\n" % location))


# Bodies.


def with_stats(nomad: Mapping[str, Any], **groups: Any) -> Mapping[str, Any]:
    return {"stats": {"nomad": nomad, **groups}, "config": {"Region": "global"}, "member": None}


def named(name: str) -> Mapping[str, Any]:
    """What a server says of itself that is called so wherever it tells a name."""
    told = json.loads(SERVER.answer("/v1/agent/self").body)
    told["config"] = {"Region": name, "Datacenter": name, "NodeName": name, "Version": {"Version": name}}
    told["stats"]["nomad"] |= {"leader_addr": name, "unknown_text": name}
    told["stats"]["raft"] |= {"state": name, "logstore_backend": name}
    told["member"] |= {"Name": name, "Addr": name, "Status": name, "Tags": {"id": name, "region": name, "build": name}}
    return told  # type: ignore[no-any-return]  # of JSON


def compressed(body: bytes, encoding: bytes) -> bytes:
    headers = b"Content-Encoding: %b\r\n" % encoding
    return whole(gzip.compress(body, 1) if encoding == b"gzip" else zlib.compress(body, 1), headers=headers)


WORSE_THAN_TEXT = {
    "stats": {"nomad": {"leader": 1, "leader_addr": [], "known_regions": None}, "raft": {"term": 7}, "serf": [1]},
    "config": {"Region": 3, "Datacenter": [], "NodeName": None, "Version": [None], "ACL": 1, "Server": "x"},
    "member": {"Name": 4, "Tags": [], "Status": {}},
}
OURS = ("agent_up", "leader", "exporter_polls_total", "agent_info", "up", "agent", "instance", "job", "le", "quantile")
MEMBERS = b'{"Members":[' + b"{}," * 999_999 + b"{}]}"

HOSTILE: Mapping[str, Hostile] = {
    # Connections.
    "refuses": Hostile(None, "refused"),
    "accepts and says nothing": Hostile(silent, "timeout"),
    "hangs within the handshake": Hostile(silent, "timeout", scheme="https"),
    "hangs within the status line": Hostile(hanging(b"HTTP/1.1 2"), "timeout"),
    "hangs within the headers": Hostile(hanging(OK + b"Content-Le"), "timeout"),
    "hangs within the body": Hostile(hanging(OK + b'Content-Length: 100\r\n\r\n{"stats":'), "timeout"),
    "hangs within a chunk": Hostile(hanging(CHUNKED + b"20\r\n{"), "timeout"),
    "drips the status line": Hostile(dripping(b"", OK), "timeout"),
    "drips the headers": Hostile(dripping(OK, b"X: y\r\n"), "timeout"),
    "drips the body": Hostile(dripping(OK + b"\r\n", b"{"), "timeout"),
    "resets at once": Hostile(resetting_at_once, "reset"),
    "resets before the headers": Hostile(resetting(), "reset"),
    "resets within the headers": Hostile(resetting(OK + b"Content-Le"), "reset"),
    "resets after the headers": Hostile(resetting(OK + b"Content-Length: 100\r\n\r\n"), "reset"),
    "closes within a chunk": Hostile(saying(CHUNKED + b"20\r\n{"), "reset"),
    # Sizes and lengths.
    "sends 100 MB": Hostile(
        flooding(OK + b"Content-Length: 104857600\r\n\r\n", lambda: itertools.repeat(MEGABYTE, 100)), "too_large"
    ),
    "sends without end": Hostile(flooding(OK + b"\r\n", lambda: itertools.repeat(MEGABYTE)), "too_large"),
    "sends chunks without end": Hostile(
        flooding(CHUNKED, lambda: itertools.repeat(b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE))), "too_large"
    ),
    "promises more than it sends": Hostile(saying(OK + b"Content-Length: 100\r\n\r\n{}"), "reset"),
    "promises less than it sends": Hostile(saying(OK + b'Content-Length: 5\r\n\r\n{"stats":{}}'), "decode"),
    "promises less than nothing": Hostile(saying(OK + b"Content-Length: -5\r\n\r\n{}"), "decode"),
    "promises more than there is": Hostile(saying(OK + b"Content-Length: %d\r\n\r\n{}" % 10**30), "reset"),
    "promises nonsense": Hostile(saying(OK + b"Content-Length: abc\r\n\r\n{}"), "decode"),
    "promises two lengths": Hostile(saying(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "protocol"),
    "sends a chunk of no number": Hostile(saying(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"), "protocol"),
    "sends a chunk of less than nothing": Hostile(saying(CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"), "protocol"),
    "sends a chunk of more than there is": Hostile(saying(CHUNKED + b"f" * 16 + b"\r\n{}"), "reset"),
    "sends a length of chunk without end": Hostile(saying(CHUNKED + b"1" * 200_000), "protocol"),
    # Encodings.
    "sends gzip unasked": Hostile(saying(compressed(b"{}", b"gzip")), "protocol"),
    "sends deflate unasked": Hostile(saying(compressed(b"{}", b"deflate")), "protocol"),
    "sends a bomb": Hostile(saying(compressed(bytes(32 * 1024 * 1024), b"gzip")), "protocol"),
    # Bodies.
    "sends HTML": Hostile(saying(whole(b"<!doctype html><title>Welcome to nginx!</title>")), "decode"),
    "sends an empty body": Hostile(saying(whole(b"")), "decode"),
    "sends null": Hostile(saying(whole(b"null")), "decode"),
    "sends an empty list": Hostile(saying(whole(b"[]")), "decode"),
    "sends an empty object": Hostile(saying(whole(b"{}")), "decode"),
    "sends numbers, lists and nulls for texts": Hostile(of_itself(WORSE_THAN_TEXT), USABLE),
    "sends 10,000 nested brackets": Hostile(saying(whole(b"[" * 10_000 + b"]" * 10_000)), "decode"),
    "nests 10,000 brackets in an unknown key": Hostile(
        of_itself(b'{"x":%b%b,"stats":{"nomad":{}}}' % (b"[" * 10_000, b"]" * 10_000)), "decode"
    ),
    "sends its keys twice": Hostile(
        of_itself(b'{"stats":{"nomad":{}},"stats":{"nomad":{"leader":"true","leader":"false"}}}'), USABLE
    ),
    "sends NaN": Hostile(of_itself(b'{"stats":{"nomad":{"leader":NaN}}}'), "decode"),
    "sends 1e999": Hostile(of_itself(b'{"x":1e999,"stats":{"nomad":{"leader":1e999,"known_regions":-1e999}}}'), USABLE),
    "sends NaN and 1e999 as texts": Hostile(
        of_itself(with_stats({"known_regions": "NaN", "y": "1e999"}, raft={"term": "inf", "last_contact": "1e999s"})),
        USABLE,
    ),
    "sends invalid UTF-8": Hostile(of_itself(b'{"stats":{"nomad":{},"\xff":{}}}'), "decode"),
    "sends invalid UTF-8 as a value": Hostile(of_itself(b'{"stats":{"nomad":{"leader_addr":"\xff"}}}'), USABLE),
    "sends half of a surrogate": Hostile(of_itself(with_stats({"leader_addr": "\ud800"})), "decode"),
    "sends a million members": Hostile(answering({"/v1/agent/members": MEMBERS}), "too_large", "members"),
    "names itself in quotes, backslashes and newlines": Hostile(of_itself(named(NAUGHTY)), USABLE),
    "counts beyond all numbers": Hostile(
        of_itself({"stats": {"nomad": {}}, "config": {"Server": {"BootstrapExpect": 10**400}}}), USABLE
    ),
    "has a version of 10 kB": Hostile(
        of_itself({"stats": {"nomad": {}}, "config": {"Version": {"Version": "9" * 10_000}}}), USABLE
    ),
    "names itself in 10 kB": Hostile(of_itself(named("é" * 10_000)), USABLE),
    "names itself in every plane of Unicode": Hostile(of_itself(named(PLANES)), USABLE),
    "uses names of ours": Hostile(
        of_itself(with_stats(dict.fromkeys(OURS, "1"), raft=dict.fromkeys(OURS, "2"), client=dict.fromkeys(OURS, "3"))),
        USABLE,
    ),
    "sends 10,000 unknown keys": Hostile(
        of_itself(with_stats({f"key_{number}": str(number) for number in range(10_000)})), USABLE
    ),
    "sends 10,000 unknown groups": Hostile(
        of_itself(with_stats({}, **{f"group_{number}": {"key": "1"} for number in range(10_000)})), USABLE
    ),
    # Statuses.
    "redirects elsewhere": Hostile(redirecting(b"http://127.0.0.1:1/v1/agent/self"), "redirect"),
    "redirects to itself": Hostile(redirecting(b"/v1/agent/self"), "redirect"),
    "answers 204": Hostile(saying(b"HTTP/1.1 204 No Content\r\n\r\n"), "status"),
    "answers 304": Hostile(saying(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "redirect"),
    "answers 403": Hostile(saying(whole(b"Permission denied", b"HTTP/1.1 403 Forbidden")), "unauthorized"),
    "answers 404": Hostile(saying(whole(b"404 page not found", b"HTTP/1.1 404 Not Found")), "status"),
    "answers 429": Hostile(
        saying(whole(b"Your IP is issuing too many concurrent connections", b"HTTP/1.1 429 Too Many Requests")),
        "status",
    ),
    "answers 429 without a body": Hostile(saying(b"HTTP/1.1 429 Too Many Requests\r\n\r\n"), "status"),
    "answers 500 with ACL token": Hostile(
        saying(whole(b"ACL token not found", b"HTTP/1.1 500 Internal Server Error")), "unauthorized"
    ),
    "answers 500": Hostile(saying(whole(b"No cluster leader", b"HTTP/1.1 500 Internal Server Error")), "status"),
    "answers 501": Hostile(saying(whole(b"", b"HTTP/1.1 501 Not Implemented")), "status"),
    "answers 999": Hostile(saying(whole(b"{}", b"HTTP/1.1 999 Oops")), "status"),
    "answers 1000": Hostile(saying(whole(b"{}", b"HTTP/1.1 1000 Oops")), "protocol"),
    # Headers.
    "sends 1,000 headers": Hostile(
        answering({}, b"".join(b"X-%d: y\r\n" % number for number in range(1_000))), "protocol"
    ),
    "sends a header of 1 MB": Hostile(answering({}, b"X: %b\r\n" % MEGABYTE), "protocol"),
    "sends cookies": Hostile(answering({}, b"Set-Cookie: token=b; Domain=.; Max-Age=x\r\n" * 20), USABLE),
    "sends headers that are none": Hostile(
        saying(whole(b"{}", headers=b"no colon here\r\n: x\r\n\xff\xfe: \0\r\n")), "decode"
    ),
    "says 100 without end": Hostile(
        flooding(b"", lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)), "timeout"
    ),
    # Protocols.
    "speaks HTTP/1.0": Hostile(answering({}, version=b"HTTP/1.0"), USABLE),
    "speaks HTTP/0.9": Hostile(saying(b'{"stats":{"nomad":{}}}'), "protocol"),
    "speaks SSH": Hostile(saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "protocol"),
    "speaks TLS where HTTP is expected": Hostile(saying(b"\x15\x03\x01\x00\x02\x02\x46"), "protocol"),
    "says that it speaks TLS": Hostile(
        saying(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "tls"
    ),
    "speaks HTTP where TLS is expected": Hostile(
        saying(whole(b"", b"HTTP/1.1 400 Bad Request")), "tls", scheme="https"
    ),
}
"""Every hostile agent, by what it does."""
