"""Small builders: an agent, answers of it, readings of those, and a clock and a wire that do as they are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import SELF_PATH, Reply
from tests.support.recordings import situation

AGENT = Agent("s1", Address("http", "127.0.0.1", 4646))
START = Instant(wall=1_800_000_000.0, monotonic=5000.0)
REFUSED = Failure(FailureReason.REFUSED, "connection refused")
WELL = Check(ok=True, message="ok")


class FakeClock:
    """A clock that stands still unless it is told otherwise."""

    def __init__(self, at: Instant = START) -> None:
        self.at = at

    def __call__(self) -> Instant:
        return self.at

    def go_on(self, seconds: float) -> None:
        """Time passes."""
        self.at += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.at = Instant(self.at.wall + seconds, self.at.monotonic)


class FakeWire:
    """A wire with a reply for each path, every one of which takes ``takes`` seconds; ``asked`` is what it was asked."""

    certificates = Certificates()

    def __init__(
        self, replies: Mapping[str, Reply | Failure], clock: FakeClock | None = None, takes: float = 0.0
    ) -> None:
        self.asked: list[tuple[str, float]] = []
        self._replies, self._clock, self._takes = replies, clock or FakeClock(), takes

    def get(self, path: str, seconds: float) -> Reply | Failure:
        self.asked.append((path, seconds))
        self._clock.go_on(self._takes)
        return self._replies[path]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def recorded(name: str, path: str = SELF_PATH) -> Reply:
    """What the recorded agent ``name`` replied."""
    told = situation(name).answers[path]
    assert told.status
    return Reply(told.status, told.body)


def self_body(
    stats: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None, member: Any = None
) -> bytes:
    """The answer to ``self`` of a server that says nothing but this."""
    return json.dumps({"stats": {"nomad": {}, **(stats or {})}, "config": config or {}, "member": member}).encode()


def own(*roles: Role, **facts: Any) -> AgentSelf:
    """An answer to ``self``; of a server, where no role is named."""
    return AgentSelf(frozenset(roles or (Role.SERVER,)), **facts)


def health(checks: Mapping[Role, Check]) -> Health:
    """An answer to ``health``, the same with and without ``?stale``."""
    answer = HealthAnswer(200 if all(check.ok for check in checks.values()) else 500, checks)
    return Health(plain=answer, stale=answer)
