"""Access control: who may ask what, and in which words each version refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nomad_sim.api.forwarding import connection_refused
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending, error_response
from nomad_sim.model.agents import Agent
from nomad_sim.model.network import Reach
from nomad_sim.model.world import World

AGENT_READ, AGENT_WRITE, NODE_READ, OPERATOR_READ = "agent:read", "agent:write", "node:read", "operator:read"

MANAGEMENT = frozenset({AGENT_READ, AGENT_WRITE, NODE_READ, OPERATOR_READ})
MONITORING = frozenset({AGENT_READ, NODE_READ})
"""What our exporter needs."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


Rights = frozenset[str]


@dataclass(frozen=True, slots=True)
class ResolvedToken:
    """What a client knows of a token: since when, and what it may; None where no server knew it."""

    at: float
    rights: Rights | None


@dataclass(frozen=True, slots=True)
class Acl:
    """The tokens by their secret, and what each may. Without any, everybody may everything.

    ``token_cache`` grows: what a server told a client of a token, by the client's name, its start, and the token.
    """

    tokens: Mapping[str, Rights] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    token_cache: dict[tuple[str, float, str], ResolvedToken] = field(default_factory=dict)

    def rights(self, token: str) -> Rights | None:
        """What the servers let a token do; None where they do not know it."""
        return None if token in self.revoked else self.tokens.get(token)

    def allows(self, token: str, need: str) -> bool:
        return need in (self.rights(token) or ())

    def has_token(self, token: str) -> bool:
        return self.rights(token) is not None


@dataclass(frozen=True, slots=True)
class Denial:
    """What is said to a token that nobody knows, and to a text that can be no token: status and words."""

    unknown: tuple[int, str]
    malformed: tuple[int, str]


_DENIED = (403, "Permission denied")
_NOT_FOUND = (403, "ACL token not found")
_NO_UUID = "acl token lookup failed: index error: UUID must be 36 characters"
_NO_JWT = "failed to parse signed token: go-jose/go-jose: compact JWS format must have three parts"
_NO_JWT_16 = "failed to verify token: token is malformed: token contains an invalid number of segments"

SELF_DENIALS: Mapping[str, Denial] = {
    "2.0": Denial(_DENIED, (500, f"ACL token not found or invalid workload identity: {_NO_JWT}")),
    "1.10": Denial(_NOT_FOUND, (500, f"failed to resolve ACL token: {_NO_UUID}")),
    "1.6": Denial(_NOT_FOUND, (500, f"failed to resolve ACL token: {_NO_UUID}")),
    "1.2": Denial(_NOT_FOUND, (500, f"failed to resolve ACL token: {_NO_UUID}")),
    "0.12": Denial(_NOT_FOUND, (500, _NO_UUID)),
}
"""Where the agent judges the token itself, with its server part."""

RPC_DENIALS: Mapping[str, Denial] = {
    **dict.fromkeys(("2.0", "1.10", "1.6"), Denial(_DENIED, _DENIED)),
    **dict.fromkeys(("1.2", "0.12"), Denial(_NOT_FOUND, (500, _NO_UUID))),
}
"""Where the server that is asked in the end judges it."""

CLIENT_DENIALS: Mapping[str, Denial] = {
    **dict.fromkeys(("2.0", "1.10"), Denial(_DENIED, (500, f"rpc error: {_NO_JWT}"))),
    "1.6": Denial(_DENIED, (500, f"rpc error: {_NO_JWT_16}")),
    **dict.fromkeys(("1.2", "0.12"), Denial(_NOT_FOUND, (500, f"rpc error: {_NO_UUID}"))),
}
"""Where the agent asks a server about the token, with its client part."""


def check_token(
    acl: Acl, agent: Agent, request: ApiRequest, need: str, table: Mapping[str, Denial]
) -> ApiResponse | None:
    """How the question is refused by a server; None where it is not."""
    return _denial(acl.rights(request.token), agent, request, need, table)


def check_token_on_client(
    acl: Acl, world: World, agent: Agent, request: ApiRequest, need: str, elsewhere: bool
) -> ApiResponse | Pending | None:
    """How the question is refused by a client, which must ask a server about the token; None where it is not.

    What it once heard of a token it believes for a while without asking, and for longer where no server answers.
    With ``elsewhere`` it does not judge itself, but the server to which the question goes.
    """
    if not agent.setup.acl or not request.token:
        return check_token(acl, agent, request, need, CLIENT_DENIALS)
    known = None if elsewhere else acl.token_cache.get((agent.name, agent.started, request.token))
    if known is None or world.now - known.at > world.timing.token_cache_ttl:
        found = _resolve_through_servers(acl, world, agent, request, known)
        if not isinstance(found, ResolvedToken):
            return found
        known = found
    return _denial(known.rights, agent, request, need, CLIENT_DENIALS)


def _resolve_through_servers(
    acl: Acl, world: World, agent: Agent, request: ApiRequest, known: ResolvedToken | None
) -> ResolvedToken | ApiResponse | Pending:
    """What a client learns of the token from its servers."""
    servers = agent.client.servers if agent.client else ()
    reaches = {world.reach_agent(agent.name, world.by_rpc_address(address)) for address in servers}
    if Reach.CONNECTED in reaches:
        return _resolve_token(acl, world, agent, request.token, known)
    if Reach.TIMED_OUT in reaches or not servers:
        return Pending()
    return known or error_response(agent.setup.version, 500, connection_refused(servers[0]).text)


def _resolve_token(acl: Acl, world: World, agent: Agent, token: str, known: ResolvedToken | None) -> ResolvedToken:
    """To a client that masks errors, an unknown token is one of them: what it knew before goes on."""
    rights = acl.rights(token)
    masks = agent.setup.version.masks_unknown_tokens
    if rights is None and masks:
        return known or ResolvedToken(world.now, None)
    check_token = ResolvedToken(world.now, rights)
    acl.token_cache[(agent.name, agent.started, token)] = check_token
    return check_token


def _denial(
    rights: Rights | None, agent: Agent, request: ApiRequest, need: str, table: Mapping[str, Denial]
) -> ApiResponse | None:
    version = agent.setup.version
    if not agent.setup.acl or (rights is not None and need in rights):
        return None
    refusal = table[version.series]
    if not request.token or rights is not None:
        return error_response(version, *_DENIED)
    return error_response(version, *(refusal.unknown if _UUID.fullmatch(request.token) else refusal.malformed))
