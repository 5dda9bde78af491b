"""Small builders for tests of polling: an agent and its answers, a fake clock and a fake wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import SELF, Reply
from nomad_exporter.nomad.tls import Certificates
from tests.support.recordings import situation

AGENT = Agent("s1", Address("http", "127.0.0.1", 4646))
START = Instant(wall=1_800_000_000.0, monotonic=5000.0)
REFUSED = Failure(FailureReason.REFUSED, "connection refused")
GATEWAY = Failure(FailureReason.GATEWAY, "HTTP 502, not from Nomad", status=502)
HEALTHY = Check(ok=True, message="ok")


class FakeClock:
    """A clock that changes only on ``advance`` and ``step``."""

    def __init__(self, at: Instant = START) -> None:
        self.at = at

    def __call__(self) -> Instant:
        return self.at

    def advance(self, seconds: float) -> None:
        """Advance both clocks."""
        self.at += seconds

    def step(self, seconds: float) -> None:
        """Step the wall clock only."""
        self.at = Instant(self.at.wall + seconds, self.at.monotonic)


class FakeWire:
    """A wire with a fixed reply for each path, each of which takes ``takes`` seconds.

    ``requests`` lists the paths and timeouts of all requests so far.
    """

    certificates = Certificates()

    def __init__(
        self, replies: Mapping[str, Reply | Failure], clock: FakeClock | None = None, takes: float = 0.0
    ) -> None:
        self.requests: list[tuple[str, float]] = []
        self._replies, self._clock, self._takes = replies, clock or FakeClock(), takes

    def get(self, path: str, seconds: float, body_limit: int) -> Reply | Failure:
        self.requests.append((path, seconds))
        self._clock.advance(self._takes)
        return self._replies[path]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


def recorded(name: str, path: str = SELF.path) -> Reply:
    """Return the reply of the recorded agent ``name``."""
    answer = situation(name).answers[path]
    assert answer.status
    return Reply(answer.status, answer.body)


def self_body(
    stats: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None, member: Any = None
) -> bytes:
    """Return a response body for ``self``, of a server that reports only these fields."""
    return json.dumps({"stats": {"nomad": {}, **(stats or {})}, "config": config or {}, "member": member}).encode()


def self_answer(*roles: Role, **fields: Any) -> AgentSelf:
    """Return an answer to ``self``, of a server unless other roles are named."""
    return AgentSelf(frozenset(roles or (Role.SERVER,)), **fields)


def health(checks: Mapping[Role, Check]) -> Health:
    """Return an answer to ``health``, the same with and without ``?stale``."""
    answer = HealthAnswer(200 if all(check.ok for check in checks.values()) else 500, checks)
    return Health(plain=answer, stale=answer)
