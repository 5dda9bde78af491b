"""Bodies that no agent sent: recorded ones, altered by bytes and by structure, from a seeded source of chance."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

TEXTS = (
    *("", " ", '"', "\\", '\\"', "\n", "\r", "\x00", "\x7f", "\u0085", "\u2028", "\ud800", "\U0010ffff", "é" * 600),
    *('a"} 1\n', '",agent="beside', "# EOF\n", "{}", "a,b", "a,a,,", "x" * 1024, "x" * 1025, "x" * 70000),
    *("0", "-1", "-0", "00", "1.", ".5", "1e999", "NaN", "Inf", "0x1", "1_0", "٣", "9" * 20, "9" * 21, "1.0", " 1"),
    *("0s", "1h1m", "-1s", "1", "5ns", "9" * 30 + "h", "2562047h47m16.854775807s", "never", "true", "false", "True"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "2026-02-30T00:00:00Z", "2026-01-01"),
    *("[]", "[{Suffrage:Voter ID:a Address:b}]", "[{Suffrage:Odd ID:a Address:b}]", "[{Suffrage:Voter ID: Address:}]"),
    "[{Suffrage:Voter ID:a Address:b} {Suffrage:Voter ID:a Address:b}]",
    *("Voter", "Leader", "alive", "failed", "2.0.5", "ok", "null", "127.0.0.1:4647", "::1"),
)
"""Texts at the borders of what is read, and such as would leave their place on a page."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 10**309, 10**400, 1.5, -0.0, 1e308),
    *([], {}, [[]], [None], {"": ""}, [{}], {"ok": True}, {"Name": "a"}),
)

KEYS = (
    *("", "a", "_", "A", "9", "x", "x_seconds", "x_time", "x_timestamp_seconds", "x_total", "x_count", "x_info"),
    *("x_created", "x_bucket", "x_stat", "x_total_stat", "up", "info", "healthy", "servers", "state", "raft_term"),
    *("term", "exporter_polls_total", "raft_state", "last_contact_seconds", "member_status", "é", 'a"b', "a b", "a\nb"),
    *("nomad", "raft", "serf", "client", "server", "runtime", "vault", "stats", "config", "member", "Members", "Name"),
    *("Status", "Tags", "Addr", "id", "port", "ok", "message", "Version", "expect", "k" * 64, "k" * 65),
    *("ID", "Address", "Healthy", "Voter", "Servers", "FailureTolerance"),
)
"""Keys that Nomad has in one place or another, and such as lead to names of ours."""

TOKENS = (
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"\\", b"\n", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true"),
    *(b"NaN", b"Infinity", b"1e999", b"-1e999", b"-0", b"1" * 400, b"1" * 5000, b"[" * 10000, b'{"a":' * 3000),
    *(b'"\\ud800"', b'"\\u0000"', b'"\\x"', b'"a":1,"a":2', b"\xef\xbb\xbf", b"/* */", b"# EOF"),
)

Alter = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutated(chance: Random, bodies: Sequence[bytes]) -> bytes:
    """One of ``bodies``, altered once or a few times."""
    body = chance.choice(bodies)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        body = chance.choice(_ALTERATIONS)(chance, body, bodies)
    return body


def _cut(chance: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(chance, body)
    return body[:start] + body[end:]


def _flip(chance: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(body) + 1)
    return body[:at] + bytes((chance.randrange(256),)) + body[at + 1 :]


def _insert(chance: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(chance, body)
    return body[:start] + chance.choice(TOKENS) + body[chance.choice((start, end)) :]


def _double(chance: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(chance, body)
    return body[:end] + body[start:]


def _splice(chance: Random, body: bytes, bodies: Sequence[bytes]) -> bytes:
    other = chance.choice(bodies)
    return body[: chance.randrange(len(body) + 1)] + other[chance.randrange(len(other) + 1) :]


def _slice(chance: Random, body: bytes) -> tuple[int, int]:
    start = chance.randrange(len(body) + 1)
    return start, min(len(body), start + chance.choice((1, 2, 5, 40, len(body))))


def _of_structure(alter: Callable[[Random, Any, Any], Any]) -> Alter:
    """An alteration at one place of the JSON: ``alter`` is given the container and the key or number in it."""

    def altered(chance: Random, body: bytes, bodies: Sequence[bytes]) -> bytes:
        try:
            root = [json.loads(body)]
            alter(chance, *chance.choice(_places(root)))
            return json.dumps(root[0]).encode()
        except (ValueError, RecursionError):
            return _flip(chance, body, bodies)

    return altered


def _places(container: Any) -> list[tuple[Any, Any]]:
    keys = list(container) if isinstance(container, dict) else range(len(container))
    below = [container[key] for key in keys if isinstance(container[key], dict | list)]
    return [*((container, key) for key in keys), *(place for deeper in below for place in _places(deeper))]


def _replace(chance: Random, container: Any, key: Any) -> None:
    container[key] = _value(chance)


def _replace_alike(chance: Random, container: Any, key: Any) -> None:
    """Another value of the same type, so that more of the body stays readable."""
    alike = [value for value in (*TEXTS, *VALUES) if type(value) is type(container[key])]
    container[key] = chance.choice(alike or [_value(chance)])


def _remove(_: Random, container: Any, key: Any) -> None:
    container[key] = None
    if isinstance(container, dict):
        del container[key]


def _add(chance: Random, container: Any, key: Any) -> None:
    below = container[key] if isinstance(container[key], dict) else container
    if isinstance(below, dict):
        below.update({chance.choice(KEYS): _value(chance) for _ in range(chance.choice((1, 3, 20)))})


def _rename(chance: Random, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[chance.choice(KEYS)] = container.pop(key)


def _repeat(chance: Random, container: Any, key: Any) -> None:
    if isinstance(container[key], list):
        container[key] *= chance.choice((2, 3, 50))
    elif isinstance(container, dict):
        container[chance.choice(KEYS)] = container[key]


def _value(chance: Random) -> Any:
    return chance.choice(TEXTS) if chance.random() < 0.7 else chance.choice(VALUES)


_ALTERATIONS: tuple[Alter, ...] = (
    *(_cut, _flip, _insert, _double, _splice),
    *(_of_structure(alter) for alter in (_replace_alike,) * 6),
    *(_of_structure(alter) for alter in (_replace, _replace, _remove, _add, _add, _rename, _repeat)),
)
