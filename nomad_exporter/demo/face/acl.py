"""Access control: who may ask what, and in which words each version refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nomad_exporter.demo.face.answers import Answer, Held, Question, error
from nomad_exporter.demo.face.asking import refused
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World

AGENT_READ, AGENT_WRITE, NODE_READ, OPERATOR_READ = "agent:read", "agent:write", "node:read", "operator:read"

MANAGEMENT = frozenset({AGENT_READ, AGENT_WRITE, NODE_READ, OPERATOR_READ})
MONITORING = frozenset({AGENT_READ, NODE_READ})
"""What our exporter needs."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Acl:
    """The tokens by their secret, and what each may. Without any, everybody may everything.

    ``resolved`` grows: pairs of a client and a token that a server has judged for it, so that the client knows it still
    when its servers have died.
    """

    tokens: Mapping[str, frozenset[str]] = field(default_factory=dict)
    resolved: set[tuple[str, str]] = field(default_factory=set)

    def may(self, token: str, need: str) -> bool:
        return need in self.tokens.get(token, frozenset())

    def knows(self, token: str) -> bool:
        return token in self.tokens


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said to a token that nobody knows, and to a text that can be no token: status and words."""

    unknown: tuple[int, str]
    malformed: tuple[int, str]


_DENIED = (403, "Permission denied")
_NOT_FOUND = (403, "ACL token not found")
_NO_UUID = "acl token lookup failed: index error: UUID must be 36 characters"
_NO_JWT = "failed to parse signed token: go-jose/go-jose: compact JWS format must have three parts"
_NO_JWT_16 = "failed to verify token: token is malformed: token contains an invalid number of segments"

SELF: Mapping[str, Refusal] = {
    "2.0": Refusal(_DENIED, (500, f"ACL token not found or invalid workload identity: {_NO_JWT}")),
    "1.10": Refusal(_NOT_FOUND, (500, f"failed to resolve ACL token: {_NO_UUID}")),
    "1.6": Refusal(_NOT_FOUND, (500, f"failed to resolve ACL token: {_NO_UUID}")),
    "1.2": Refusal(_NOT_FOUND, (500, f"failed to resolve ACL token: {_NO_UUID}")),
    "0.12": Refusal(_NOT_FOUND, (500, _NO_UUID)),
}
"""Where the agent judges the token itself, with its server part."""

OTHERS: Mapping[str, Refusal] = {
    **dict.fromkeys(("2.0", "1.10", "1.6"), Refusal(_DENIED, _DENIED)),
    **dict.fromkeys(("1.2", "0.12"), Refusal(_NOT_FOUND, (500, _NO_UUID))),
}
"""Where the server that is asked in the end judges it."""

CLIENT: Mapping[str, Refusal] = {
    **dict.fromkeys(("2.0", "1.10"), Refusal(_DENIED, (500, f"rpc error: {_NO_JWT}"))),
    "1.6": Refusal(_DENIED, (500, f"rpc error: {_NO_JWT_16}")),
    **dict.fromkeys(("1.2", "0.12"), Refusal(_NOT_FOUND, (500, f"rpc error: {_NO_UUID}"))),
}
"""Where the agent asks a server about the token, with its client part."""


def judged(acl: Acl, agent: Agent, question: Question, need: str, table: Mapping[str, Refusal]) -> Answer | None:
    """How the question is refused; None where it is not."""
    version = agent.setup.version
    if not agent.setup.acl or acl.may(question.token, need):
        return None
    refusal = table[version.series]
    if not question.token or acl.knows(question.token):
        return error(version, *_DENIED)
    return error(version, *(refusal.unknown if _UUID.fullmatch(question.token) else refusal.malformed))


def resolved(acl: Acl, world: World, agent: Agent, question: Question) -> Answer | Held | None:
    """What comes of asking a server about the token, which a client alone must do; None where it could be judged."""
    if agent.server or agent.client is None or not agent.setup.acl or not question.token:
        return None
    reaches = {world.reach_found(agent.name, world.at_rpc(address)) for address in agent.client.servers}
    if Reach.ANSWERED in reaches:
        acl.resolved.add((agent.name, question.token))
        return None
    if Reach.SILENT in reaches or not agent.client.servers:
        return Held()
    known = (agent.name, question.token) in acl.resolved
    return None if known else error(agent.setup.version, 500, refused(agent.client.servers[0]).text)
