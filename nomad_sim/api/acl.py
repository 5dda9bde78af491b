"""ACLs: the capabilities of tokens, and the errors with which each version denies a request."""

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
"""The capabilities that the exporter needs."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Capabilities = frozenset[str]


@dataclass(frozen=True, slots=True)
class ResolvedToken:
    """A token as a client cached it: the time, and the capabilities; None if the servers do not know the token."""

    at: float
    capabilities: Capabilities | None


@dataclass(frozen=True, slots=True)
class Acl:
    """The capabilities of each token, by its secret ID.

    ``token_cache`` is mutable: what each client resolved, by the client's name, its start time and the token.
    """

    tokens: Mapping[str, Capabilities] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    token_cache: dict[tuple[str, float, str], ResolvedToken] = field(default_factory=dict)

    def capabilities(self, token: str) -> Capabilities | None:
        """Return the capabilities of a token; None if the servers do not know the token."""
        return None if token in self.revoked else self.tokens.get(token)

    def allows(self, token: str, capability: str) -> bool:
        return capability in (self.capabilities(token) or ())

    def has_token(self, token: str) -> bool:
        return self.capabilities(token) is not None


@dataclass(frozen=True, slots=True)
class Denial:
    """Status and text of the error for an unknown token, and for a token that is not a UUID."""

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
"""Denials by the server part of the agent itself, by series."""

RPC_DENIALS: Mapping[str, Denial] = {
    **dict.fromkeys(("2.0", "1.10", "1.6"), Denial(_DENIED, _DENIED)),
    **dict.fromkeys(("1.2", "0.12"), Denial(_NOT_FOUND, (500, _NO_UUID))),
}
"""Denials by the server to which a request is forwarded, by series."""

CLIENT_DENIALS: Mapping[str, Denial] = {
    **dict.fromkeys(("2.0", "1.10"), Denial(_DENIED, (500, f"rpc error: {_NO_JWT}"))),
    "1.6": Denial(_DENIED, (500, f"rpc error: {_NO_JWT_16}")),
    **dict.fromkeys(("1.2", "0.12"), Denial(_NOT_FOUND, (500, f"rpc error: {_NO_UUID}"))),
}
"""Denials by a client, which resolves tokens through its servers, by series."""


def check_token(
    acl: Acl, agent: Agent, request: ApiRequest, required: str, denials: Mapping[str, Denial]
) -> ApiResponse | None:
    """Return the error with which a server denies the request; None if the request is allowed."""
    return _denial(acl.capabilities(request.token), agent, request, required, denials)


def check_token_on_client(
    acl: Acl, world: World, agent: Agent, request: ApiRequest, required: str, is_forwarded: bool
) -> ApiResponse | Pending | None:
    """Return the error with which a client denies the request; None if the request is allowed.

    A client resolves tokens through its servers and caches the result. An expired result is used while all servers
    refuse connections. If ``is_forwarded``, the cache is not used, since the server that handles the
    request checks the token.
    """
    if not agent.setup.acl or not request.token:
        return check_token(acl, agent, request, required, CLIENT_DENIALS)
    cached = None if is_forwarded else acl.token_cache.get((agent.name, agent.started, request.token))
    if cached is None or world.now - cached.at > world.timing.token_cache_ttl:
        resolved = _resolve_through_servers(acl, world, agent, request, cached)
        if not isinstance(resolved, ResolvedToken):
            return resolved
        cached = resolved
    return _denial(cached.capabilities, agent, request, required, CLIENT_DENIALS)


def _resolve_through_servers(
    acl: Acl, world: World, agent: Agent, request: ApiRequest, cached: ResolvedToken | None
) -> ResolvedToken | ApiResponse | Pending:
    """Resolve the token through any connected server; return an error or Pending if no server responds."""
    servers = agent.client.servers if agent.client else ()
    reaches = {world.reach_agent(agent.name, world.by_rpc_address(address)) for address in servers}
    if Reach.CONNECTED in reaches:
        return _resolve_token(acl, world, agent, request.token, cached)
    if Reach.TIMED_OUT in reaches or not servers:
        return Pending()
    return cached or error_response(agent.setup.version, 500, connection_refused(servers[0]).text)


def _resolve_token(acl: Acl, world: World, agent: Agent, token: str, cached: ResolvedToken | None) -> ResolvedToken:
    """Return the token as the servers know it, and cache it."""
    capabilities = acl.capabilities(token)
    # Newer clients treat "unknown token" like any failed RPC and keep using the cached capabilities.
    if capabilities is None and agent.setup.version.masks_unknown_tokens:
        return cached or ResolvedToken(world.now, None)
    resolved = ResolvedToken(world.now, capabilities)
    acl.token_cache[(agent.name, agent.started, token)] = resolved
    return resolved


def _denial(
    capabilities: Capabilities | None,
    agent: Agent,
    request: ApiRequest,
    required: str,
    denials: Mapping[str, Denial],
) -> ApiResponse | None:
    version = agent.setup.version
    if not agent.setup.acl or (capabilities is not None and required in capabilities):
        return None
    if not request.token or capabilities is not None:
        return error_response(version, *_DENIED)
    denial = denials[version.series]
    return error_response(version, *(denial.unknown if _UUID.fullmatch(request.token) else denial.malformed))
