"""Mutations of recorded bodies, of their bytes and of their JSON structure, reproducible by seed."""

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
"""Strings at the limits of the parsers, and strings that could break a page if they were not escaped."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 10**309, 10**400, 1.5, -0.0, 1e308),
    *([], {}, [[]], [None], {"": ""}, [{}], {"ok": True}, {"Name": "a"}),
)

KEYS = (
    *("", "a", "_", "A", "9", "x", "x_seconds", "x_time", "x_timestamp_seconds", "x_total", "x_count", "x_info"),
    *("x_created", "x_bucket", "x_stat", "x_total_stat", "up", "info", "healthy", "servers", "state", "raft_term"),
    *("term", "exporter_polls_total", "raft_state", "last_contact_seconds", "member_status", "é", 'a"b', "a b", "a\nb"),
    *("leader_changes", "leader_changes_total", "restarts", "members_appeared", "raft_term_increases"),
    *("nomad", "raft", "serf", "client", "server", "runtime", "vault", "stats", "config", "member", "Members", "Name"),
    *("Status", "Tags", "Addr", "id", "port", "ok", "message", "Version", "expect", "k" * 64, "k" * 65),
    *("ID", "Address", "Healthy", "Voter", "Servers", "FailureTolerance"),
)
"""Keys of Nomad's answers, and keys that could collide with metric names."""

TOKENS = (
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"\\", b"\n", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true"),
    *(b"NaN", b"Infinity", b"1e999", b"-1e999", b"-0", b"1" * 400, b"1" * 5000, b"[" * 10000, b'{"a":' * 3000),
    *(b'"\\ud800"', b'"\\u0000"', b'"\\x"', b'"a":1,"a":2', b"\xef\xbb\xbf", b"/* */", b"# EOF"),
)

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutated(rng: Random, bodies: Sequence[bytes]) -> bytes:
    """Return one of ``bodies``, mutated one or several times."""
    body = rng.choice(bodies)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        body = rng.choice(_MUTATIONS)(rng, body, bodies)
    return body


def _cut(rng: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(rng, body)
    return body[:start] + body[end:]


def _flip(rng: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + bytes((rng.randrange(256),)) + body[at + 1 :]


def _insert(rng: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(rng, body)
    return body[:start] + rng.choice(TOKENS) + body[rng.choice((start, end)) :]


def _double(rng: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(rng, body)
    return body[:end] + body[start:]


def _splice(rng: Random, body: bytes, bodies: Sequence[bytes]) -> bytes:
    other = rng.choice(bodies)
    return body[: rng.randrange(len(body) + 1)] + other[rng.randrange(len(other) + 1) :]


def _slice(rng: Random, body: bytes) -> tuple[int, int]:
    start = rng.randrange(len(body) + 1)
    return start, min(len(body), start + rng.choice((1, 2, 5, 40, len(body))))


def _at_random_place(change: Callable[[Random, Any, Any], Any]) -> Mutation:
    """Return a mutation that calls ``change`` with a random container of the JSON and a key or index in it."""

    def mutation(rng: Random, body: bytes, bodies: Sequence[bytes]) -> bytes:
        try:
            root = [json.loads(body)]
            change(rng, *rng.choice(_places(root)))
            return json.dumps(root[0]).encode()
        except (ValueError, RecursionError):
            return _flip(rng, body, bodies)

    return mutation


def _places(container: Any) -> list[tuple[Any, Any]]:
    keys = list(container) if isinstance(container, dict) else range(len(container))
    below = [container[key] for key in keys if isinstance(container[key], dict | list)]
    return [*((container, key) for key in keys), *(place for deeper in below for place in _places(deeper))]


def _replace(rng: Random, container: Any, key: Any) -> None:
    container[key] = _value(rng)


def _replace_with_same_type(rng: Random, container: Any, key: Any) -> None:
    """Replace a value by another one of the same type, so that more of the body can still be decoded."""
    candidates = [value for value in (*TEXTS, *VALUES) if type(value) is type(container[key])]
    container[key] = rng.choice(candidates or [_value(rng)])


def _remove(_: Random, container: Any, key: Any) -> None:
    container[key] = None
    if isinstance(container, dict):
        del container[key]


def _add(rng: Random, container: Any, key: Any) -> None:
    below = container[key] if isinstance(container[key], dict) else container
    if isinstance(below, dict):
        below.update({rng.choice(KEYS): _value(rng) for _ in range(rng.choice((1, 3, 20)))})


def _rename(rng: Random, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[rng.choice(KEYS)] = container.pop(key)


def _repeat(rng: Random, container: Any, key: Any) -> None:
    if isinstance(container[key], list):
        container[key] *= rng.choice((2, 3, 50))
    elif isinstance(container, dict):
        container[rng.choice(KEYS)] = container[key]


def _value(rng: Random) -> Any:
    return rng.choice(TEXTS) if rng.random() < 0.7 else rng.choice(VALUES)


_MUTATIONS: tuple[Mutation, ...] = (
    *(_cut, _flip, _insert, _double, _splice),
    *(_at_random_place(change) for change in (_replace_with_same_type,) * 6),
    *(_at_random_place(change) for change in (_replace, _replace, _remove, _add, _add, _rename, _repeat)),
)
