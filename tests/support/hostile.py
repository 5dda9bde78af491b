"""Hostile agents: a table of what each agent sends, and of the failure that the exporter must report."""

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

from nomad_exporter.metrics.render import CATALOGUE
from nomad_exporter.nomad.agent import Address, Scheme
from nomad_exporter.nomad.sources import MEMBERS, SELF
from nomad_exporter.nomad.sources.agent_self import RAFT_SERVERS_LIMIT
from nomad_exporter.nomad.sources.members import LISTED_LIMIT, MEMBERS_LIMIT
from tests.support.agents import Script, free_port, scripted
from tests.support.recordings import situation

USABLE = "none"
"""The expected reason of agents whose answers can be decoded nevertheless."""

SERVER = situation("2.0.5/healthy/s1-follower")

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

MEGABYTE = b"x" * 1024 * 1024
NAUGHTY = 'a "quoted" \\ back\\slashed\\\\ \n new\r\nline, {braces="="} # HELP \t\0\x1b[31m\x7f'
PLANES = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0x7E, 0x2028, 0xFEFF, 0xFFFD, 0xFFFE))


@dataclass(frozen=True, slots=True)
class Hostile:
    """A hostile agent: its ``script``, None if nothing listens, and the ``reason`` why polls of ``source`` fail."""

    script: Script | None
    reason: str
    source: str = "self"
    scheme: Scheme = "http"


@contextlib.contextmanager
def hostile_agents() -> Iterator[Mapping[str, Address]]:
    """Run all agents of the table within the block, and yield their addresses by name."""
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


def sending(*parts: bytes) -> Script:
    """Return a script that reads a request, sends these bytes and closes the connection."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)

    return script


def response(body: bytes, head: bytes = b"HTTP/1.1 200 OK", headers: bytes = b"") -> bytes:
    """Return a complete response with a correct Content-Length."""
    return b"%b\r\n%bContent-Length: %d\r\n\r\n%b" % (head, headers, len(body), body)


def hanging(begun: bytes = b"") -> Script:
    """Return a script that sends these bytes and then nothing more."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(begun)
        stopping.wait()

    return script


def silent(_: socket.socket, stopping: threading.Event) -> None:
    """Accept the connection, and neither read nor send anything."""
    stopping.wait()


def dripping(begun: bytes, drops: bytes) -> Script:
    """Return a script that sends ``begun`` at once, then repeats ``drops`` at one byte per second."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(begun)
        for drop in itertools.cycle(drops):
            connection.sendall(bytes([drop]))
            if stopping.wait(1.0):
                return

    return script


def resetting(begun: bytes = b"") -> Script:
    """Return a script that sends these bytes and then resets the connection."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(begun)
        stopping.wait(0.05 if begun else 0.0)  # A reset discards bytes that the client has not read yet.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def resetting_at_once(connection: socket.socket, _: threading.Event) -> None:
    """Reset the connection before any request."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def flooding(head: bytes, parts: Callable[[], Iterator[bytes]]) -> Script:
    """Return a script that sends ``head`` and then all ``parts``, as fast as the client reads them."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        for part in parts():
            if stopping.is_set():
                return
            connection.sendall(part)

    return script


def serving(bodies: Mapping[str, bytes], headers: bytes = b"", version: bytes = b"HTTP/1.1") -> Script:
    """Return a script of a healthy server, except for these bodies by path and these headers."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        request = connection.recv(65536)
        if not request:
            return
        path = request.split(b" ")[1].decode()
        body = bodies.get(path.partition("?")[0], SERVER.answer(path).body)
        connection.sendall(response(body, version + b" 200 OK", headers))

    return script


def changing(answers: Mapping[str, Callable[[int], bytes]]) -> Script:
    """Return a script of a healthy server, except that these bodies are new for each request."""
    rounds = {path: itertools.count() for path in answers}

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        bodies = {path: make(next(rounds[path])) for path, make in answers.items()}
        serving(bodies)(connection, stopping)

    return script


def with_self(body: bytes | Mapping[str, Any]) -> Script:
    """Return a script of a healthy server, except for the body of ``self``."""
    return serving({SELF.path: body if isinstance(body, bytes) else json.dumps(body).encode()})


def redirecting(location: bytes) -> Script:
    return sending(response(b"", b"HTTP/1.1 307 Temporary Redirect", b"Location: %b\r\n" % location))


# Bodies.


def with_stats(nomad: Mapping[str, Any], **groups: Any) -> Mapping[str, Any]:
    return {"stats": {"nomad": nomad, **groups}, "config": {"Region": "global"}, "member": None}


def named(name: str) -> Mapping[str, Any]:
    """Return an answer to ``self`` with ``name`` in place of every name and text."""
    answer = json.loads(SERVER.answer("/v1/agent/self").body)
    answer["config"] = {"Region": name, "Datacenter": name, "NodeName": name, "Version": {"Version": name}}
    answer["stats"]["nomad"] |= {"leader_addr": name, "unknown_text": name}
    answer["stats"]["raft"] |= {"state": name, "logstore_backend": name}
    tags = {"id": name, "region": name, "build": name}
    answer["member"] |= {"Name": name, "Addr": name, "Status": name, "Tags": tags}
    return answer  # type: ignore[no-any-return]  # json.loads returns Any


HEALTHY_SERVER = b'{"server":{"ok":true,"message":"ok"}}'


def server_body(
    configuration: str = "[]",
    peers: str = "",
    leader: str = "",
    region: str = "global",
    unknown: int = 0,
    poll: int = 0,
) -> bytes:
    """Return an answer to ``self`` of a server with this Raft configuration, or with peers as before Nomad 0.5.5.

    Another ``poll`` has other unknown stats.
    """
    servers = {"raft_peers": peers} if peers else {"latest_configuration": configuration}
    more = {f"key_{poll}_{number}": str(number) for number in range(unknown)}
    stats = {"nomad": {"leader_addr": leader, **more}, "raft": {"term": "7", "state": "Follower", **servers}}
    member = {"Name": "m0", "Addr": "10.0.0.1", "Status": "alive", "Tags": {"id": "id-0", "port": "4647"}}
    return json.dumps({"stats": stats, "config": {"Region": region}, "member": member}).encode()


def configuration(number: int, empty: bool = False, poll: int = 0) -> str:
    """Return the text of a Raft configuration of ``number`` voters: those of ``members_body``, or empty ones.

    Another ``poll`` has other IDs.
    """
    suffix = f"-{poll}" if poll else ""
    servers = (
        "ID: Address:" if empty else f"ID:id-{index}{suffix} Address:10.0.0.1:{index}" for index in range(number)
    )
    return f"[{' '.join(f'{{Suffrage:Voter {server}}}' for server in servers)}]"


def peers(number: int) -> str:
    """Return the addresses of ``number`` members of ``members_body``, as in Nomad before 0.5.5."""
    return ",".join(f"10.0.0.1:{index}" for index in range(number))


def members_body(number: int, name: str = "", port: str = "", regions: int = 1, poll: int = 0) -> bytes:
    """Return an answer to ``members`` with ``number`` alive members, with equal names or ports if those are given.

    Another ``poll`` has other names.
    """
    return json.dumps(
        {
            "Members": [
                {
                    "Name": name or f"m{index}" + (f"-{poll}" if poll else ""),
                    "Addr": "10.0.0.1",
                    "Status": "alive",
                    "Tags": {"id": f"id-{index}", "port": port or str(index), "region": f"r{index % regions}"},
                }
                for index in range(number)
            ]
        }
    ).encode()


def autopilot_body(number: int) -> bytes:
    """Return an answer to ``autopilot`` with ``number`` healthy voters: those of ``members_body``."""
    servers = [{"ID": f"id-{index}", "Name": f"m{index}", "Healthy": True, "Voter": True} for index in range(number)]
    return json.dumps({"Healthy": True, "Servers": servers}).encode()


def compressed(body: bytes, encoding: bytes) -> bytes:
    headers = b"Content-Encoding: %b\r\n" % encoding
    return response(gzip.compress(body, 1) if encoding == b"gzip" else zlib.compress(body, 1), headers=headers)


NON_STRINGS = {
    "stats": {"nomad": {"leader": 1, "leader_addr": [], "known_regions": None}, "raft": {"term": 7}, "serf": [1]},
    "config": {"Region": 3, "Datacenter": [], "NodeName": None, "Version": [None], "ACL": 1, "Server": "x"},
    "member": {"Name": 4, "Tags": [], "Status": {}},
}
NAMES = ("agent_up", "leader", "exporter_polls_total", "agent_info", "up", "agent", "instance", "job", "le", "quantile")
"""Names of metrics and labels of the exporter and of Prometheus."""

FAMILY_KEYS = sorted(
    {
        family.name.removeprefix(prefix).removesuffix("_total") + suffix
        for table in CATALOGUE
        for family in table
        for prefix in ("nomad_agent_", "nomad_agent_raft_")
        for suffix in ("", "_total")
        if family.type == "counter"
    }
)
"""Keys that become the names of the exporter's counters, with and without their suffix."""

MILLION_MEMBERS = b'{"Members":[' + b"{}," * 999_999 + b"{}]}"

HOSTILE: Mapping[str, Hostile] = {
    # Connections.
    "refuses": Hostile(None, "refused"),
    "accepts but sends nothing": Hostile(silent, "timeout"),
    "hangs during the handshake": Hostile(silent, "timeout", scheme="https"),
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
    "closes within a chunk": Hostile(sending(CHUNKED + b"20\r\n{"), "reset"),
    # Sizes and lengths.
    "sends 100 MB": Hostile(
        flooding(OK + b"Content-Length: 104857600\r\n\r\n", lambda: itertools.repeat(MEGABYTE, 100)), "too_large"
    ),
    "sends an endless body": Hostile(flooding(OK + b"\r\n", lambda: itertools.repeat(MEGABYTE)), "too_large"),
    "sends endless chunks": Hostile(
        flooding(CHUNKED, lambda: itertools.repeat(b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE))), "too_large"
    ),
    "declares more bytes than it sends": Hostile(sending(OK + b"Content-Length: 100\r\n\r\n{}"), "reset"),
    "declares fewer bytes than it sends": Hostile(sending(OK + b'Content-Length: 5\r\n\r\n{"stats":{}}'), "decode"),
    "declares a negative length": Hostile(sending(OK + b"Content-Length: -5\r\n\r\n{}"), "decode"),
    "declares a huge length": Hostile(sending(OK + b"Content-Length: %d\r\n\r\n{}" % 10**30), "reset"),
    "declares an invalid length": Hostile(sending(OK + b"Content-Length: abc\r\n\r\n{}"), "decode"),
    "declares two lengths": Hostile(sending(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "protocol"),
    "sends an invalid chunk size": Hostile(sending(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"), "protocol"),
    "sends a negative chunk size": Hostile(sending(CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"), "protocol"),
    "sends the chunk size -1 and 100 MB": Hostile(
        flooding(CHUNKED + b"-1\r\n", lambda: itertools.repeat(MEGABYTE, 100)), "too_large"
    ),
    "sends the chunk size -1 and closes": Hostile(sending(CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n"), "reset"),
    "sends endless chunks of one byte": Hostile(
        flooding(CHUNKED, lambda: itertools.repeat(b"1\r\nx\r\n" * 10_000)), "protocol"
    ),
    "sends endless extensions of chunks": Hostile(
        flooding(CHUNKED, lambda: itertools.repeat(b"1;%b\r\nx\r\n" % (b"e" * 60_000))), "too_large"
    ),
    "sends endless trailers": Hostile(
        flooding(CHUNKED + b"0\r\n", lambda: itertools.repeat(b"X: y\r\n" * 10_000)), "too_large"
    ),
    "sends a huge chunk size": Hostile(sending(CHUNKED + b"f" * 16 + b"\r\n{}"), "reset"),
    "sends an endless chunk size": Hostile(sending(CHUNKED + b"1" * 200_000), "protocol"),
    # Encodings.
    "sends gzip that was not accepted": Hostile(sending(compressed(b"{}", b"gzip")), "protocol"),
    "sends deflate that was not accepted": Hostile(sending(compressed(b"{}", b"deflate")), "protocol"),
    "sends a compression bomb": Hostile(sending(compressed(bytes(32 * 1024 * 1024), b"gzip")), "protocol"),
    # Bodies.
    "sends HTML": Hostile(sending(response(b"<!doctype html><title>Welcome to nginx!</title>")), "decode"),
    "sends an empty body": Hostile(sending(response(b"")), "decode"),
    "sends null": Hostile(sending(response(b"null")), "decode"),
    "sends an empty list": Hostile(sending(response(b"[]")), "decode"),
    "sends an empty object": Hostile(sending(response(b"{}")), "decode"),
    "sends numbers, lists and nulls instead of strings": Hostile(with_self(NON_STRINGS), USABLE),
    "sends 10,000 nested brackets": Hostile(sending(response(b"[" * 10_000 + b"]" * 10_000)), "decode"),
    "nests 10,000 brackets in an unknown key": Hostile(
        with_self(b'{"x":%b%b,"stats":{"nomad":{}}}' % (b"[" * 10_000, b"]" * 10_000)), "decode"
    ),
    "sends duplicate keys": Hostile(
        with_self(b'{"stats":{"nomad":{}},"stats":{"nomad":{"leader":"true","leader":"false"}}}'), USABLE
    ),
    "sends NaN": Hostile(with_self(b'{"stats":{"nomad":{"leader":NaN}}}'), "decode"),
    "sends 1e999": Hostile(with_self(b'{"x":1e999,"stats":{"nomad":{"leader":1e999,"known_regions":-1e999}}}'), USABLE),
    "sends NaN and 1e999 as strings": Hostile(
        with_self(with_stats({"known_regions": "NaN", "y": "1e999"}, raft={"term": "inf", "last_contact": "1e999s"})),
        USABLE,
    ),
    "sends invalid UTF-8": Hostile(with_self(b'{"stats":{"nomad":{},"\xff":{}}}'), "decode"),
    "sends invalid UTF-8 as a value": Hostile(with_self(b'{"stats":{"nomad":{"leader_addr":"\xff"}}}'), USABLE),
    "sends half of a surrogate": Hostile(with_self(with_stats({"leader_addr": "\ud800"})), "decode"),
    "sends a million members": Hostile(serving({MEMBERS.path: MILLION_MEMBERS}), "too_large", "members"),
    "has names with quotes, backslashes and newlines": Hostile(with_self(named(NAUGHTY)), USABLE),
    "sends a number of 400 digits": Hostile(
        with_self({"stats": {"nomad": {}}, "config": {"Server": {"BootstrapExpect": 10**400}}}), USABLE
    ),
    "has a version of 10 kB": Hostile(
        with_self({"stats": {"nomad": {}}, "config": {"Version": {"Version": "9" * 10_000}}}), USABLE
    ),
    "has names of 10 kB": Hostile(with_self(json.dumps(named("é" * 10_000), ensure_ascii=False).encode()), USABLE),
    "has names from every plane of Unicode": Hostile(with_self(named(PLANES)), USABLE),
    "uses metric and label names as keys": Hostile(
        with_self(
            with_stats(dict.fromkeys(NAMES, "1"), raft=dict.fromkeys(NAMES, "2"), client=dict.fromkeys(NAMES, "3"))
        ),
        USABLE,
    ),
    "uses the names of the exporter's families as keys": Hostile(
        with_self(with_stats(dict.fromkeys(FAMILY_KEYS, "1"), raft=dict.fromkeys(FAMILY_KEYS, "2"))), USABLE
    ),
    "sends 10,000 unknown keys": Hostile(
        with_self(with_stats({f"key_{number}": str(number) for number in range(10_000)})), USABLE
    ),
    "sends 10,000 unknown groups": Hostile(
        with_self(with_stats({}, **{f"group_{number}": {"key": "1"} for number in range(10_000)})), USABLE
    ),
    # Names, each of which would be a series, a log line, or a cluster of its own.
    "has new members at each poll": Hostile(
        changing({MEMBERS.path: lambda poll: members_body(MEMBERS_LIMIT, regions=MEMBERS_LIMIT, poll=poll)}), USABLE
    ),
    "has new members and an invalid one at each poll": Hostile(
        changing({MEMBERS.path: lambda poll: members_body(99, poll=poll).replace(b'"Members": [', b'"Members":[{},')}),
        USABLE,
    ),
    "has a new region, Raft configuration and stats at each poll": Hostile(
        changing(
            {
                SELF.path: lambda poll: server_body(
                    configuration(99, poll=poll), region=f"r{poll}", unknown=99, poll=poll
                )
            }
        ),
        USABLE,
    ),
    "has 2,000 members": Hostile(serving({MEMBERS.path: members_body(LISTED_LIMIT)}), USABLE),
    "has 2,001 members": Hostile(serving({MEMBERS.path: members_body(LISTED_LIMIT + 1)}), "too_large", "members"),
    # Lists, whose entries must not be compared with each other.
    "has 65,535 empty peers": Hostile(with_self(server_body(peers="," * 65_535)), USABLE),
    "has 2,180 equal empty servers": Hostile(with_self(server_body(configuration(2_180, empty=True))), USABLE),
    **{
        f"has the largest lists {number}": Hostile(
            serving(
                {
                    SELF.path: server_body(configuration(RAFT_SERVERS_LIMIT)),
                    MEMBERS.path: members_body(MEMBERS_LIMIT),
                }
            ),
            USABLE,
        )
        for number in range(3)
    },
    # Statuses.
    "redirects elsewhere": Hostile(redirecting(b"http://127.0.0.1:1/v1/agent/self"), "redirect"),
    "redirects to itself": Hostile(redirecting(b"/v1/agent/self"), "redirect"),
    "responds with 204": Hostile(sending(b"HTTP/1.1 204 No Content\r\n\r\n"), "status"),
    "responds with 304": Hostile(sending(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "redirect"),
    "responds with 403": Hostile(sending(response(b"Permission denied", b"HTTP/1.1 403 Forbidden")), "unauthorized"),
    "responds with 404": Hostile(sending(response(b"404 page not found", b"HTTP/1.1 404 Not Found")), "status"),
    "responds with 429": Hostile(
        sending(response(b"Your IP is issuing too many concurrent connections", b"HTTP/1.1 429 Too Many Requests")),
        "status",
    ),
    "responds with 429 without a body": Hostile(sending(b"HTTP/1.1 429 Too Many Requests\r\n\r\n"), "status"),
    "responds with 500 about the ACL token": Hostile(
        sending(response(b"ACL token not found", b"HTTP/1.1 500 Internal Server Error")), "unauthorized"
    ),
    "responds with 500": Hostile(
        sending(response(b"No cluster leader", b"HTTP/1.1 500 Internal Server Error")), "status"
    ),
    "responds with 501": Hostile(sending(response(b"", b"HTTP/1.1 501 Not Implemented")), "status"),
    "responds with 999": Hostile(sending(response(b"{}", b"HTTP/1.1 999 Oops")), "status"),
    "responds with 1000": Hostile(sending(response(b"{}", b"HTTP/1.1 1000 Oops")), "protocol"),
    # Headers.
    "sends 1,000 headers": Hostile(
        serving({}, b"".join(b"X-%d: y\r\n" % number for number in range(1_000))), "protocol"
    ),
    "sends a header of 1 MB": Hostile(serving({}, b"X: %b\r\n" % MEGABYTE), "too_large"),
    "sends cookies": Hostile(serving({}, b"Set-Cookie: token=b; Domain=.; Max-Age=x\r\n" * 20), USABLE),
    "sends malformed headers": Hostile(
        sending(response(b"{}", headers=b"no colon here\r\n: x\r\n\xff\xfe: \0\r\n")), "decode"
    ),
    "sends endless 100 Continue": Hostile(
        flooding(b"", lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)), "too_large"
    ),
    # Protocols.
    "speaks HTTP/1.0": Hostile(serving({}, version=b"HTTP/1.0"), USABLE),
    "speaks HTTP/0.9": Hostile(sending(b'{"stats":{"nomad":{}}}'), "protocol"),
    "speaks SSH": Hostile(sending(b"SSH-2.0-OpenSSH_9.6\r\n"), "protocol"),
    "speaks TLS instead of HTTP": Hostile(sending(b"\x15\x03\x01\x00\x02\x02\x46"), "protocol"),
    "requires TLS": Hostile(
        sending(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "tls"
    ),
    "speaks HTTP instead of TLS": Hostile(sending(response(b"", b"HTTP/1.1 400 Bad Request")), "tls", scheme="https"),
}
"""Every hostile agent, by its behaviour."""
