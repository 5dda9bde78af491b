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


Rights = frozenset[str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a client knows of a token: since when, and what it may; None where no server knew it."""

    at: float
    rights: Rights | None


@dataclass(frozen=True, slots=True)
class Acl:
    """The tokens by their secret, and what each may. Without any, everybody may everything.

    ``remembered`` grows: what a server told a client of a token, by the client's name, its start, and the token.
    """

    tokens: Mapping[str, Rights] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    remembered: dict[tuple[str, float, str], Judged] = field(default_factory=dict)

    def rights(self, token: str) -> Rights | None:
        """What the servers let a token do; None where they do not know it."""
        return None if token in self.revoked else self.tokens.get(token)

    def may(self, token: str, need: str) -> bool:
        return need in (self.rights(token) or ())

    def knows(self, token: str) -> bool:
        return self.rights(token) is not None


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
    """How the question is refused by a server; None where it is not."""
    return _refused(acl.rights(question.token), agent, question, need, table)


def judged_by_client(
    acl: Acl, world: World, agent: Agent, question: Question, need: str, elsewhere: bool
) -> Answer | Held | None:
    """How the question is refused by a client, which must ask a server about the token; None where it is not.

    What it once heard of a token it believes for a while without asking, and for longer where no server answers.
    With ``elsewhere`` it does not judge itself, but the server to which the question goes.
    """
    if not agent.setup.acl or not question.token:
        return judged(acl, agent, question, need, CLIENT)
    known = None if elsewhere else acl.remembered.get((agent.name, agent.started, question.token))
    if known is None or world.now - known.at > world.timing.token:
        found = _asked(acl, world, agent, question, known)
        if not isinstance(found, Judged):
            return found
        known = found
    return _refused(known.rights, agent, question, need, CLIENT)


def _asked(acl: Acl, world: World, agent: Agent, question: Question, known: Judged | None) -> Judged | Answer | Held:
    """What a client learns of the token from its servers."""
    servers = agent.client.servers if agent.client else ()
    reaches = {world.reach_found(agent.name, world.at_rpc(address)) for address in servers}
    if Reach.ANSWERED in reaches:
        return _told(acl, world, agent, question.token, known)
    if Reach.SILENT in reaches or not servers:
        return Held()
    return known or error(agent.setup.version, 500, refused(servers[0]).text)


def _told(acl: Acl, world: World, agent: Agent, token: str, known: Judged | None) -> Judged:
    """To a client that masks errors, an unknown token is one of them: what it knew before goes on."""
    rights = acl.rights(token)
    masks = agent.setup.version.masks_unknown_tokens
    if rights is None and masks:
        return known or Judged(world.now, None)
    judged = Judged(world.now, rights)
    acl.remembered[(agent.name, agent.started, token)] = judged
    return judged


def _refused(
    rights: Rights | None, agent: Agent, question: Question, need: str, table: Mapping[str, Refusal]
) -> Answer | None:
    version = agent.setup.version
    if not agent.setup.acl or (rights is not None and need in rights):
        return None
    refusal = table[version.series]
    if not question.token or rights is not None:
        return error(version, *_DENIED)
    return error(version, *(refusal.unknown if _UUID.fullmatch(question.token) else refusal.malformed))
