"""Requests to the HTTP API of simulated agents, without a socket."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from nomad_sim.api.acl import AGENT_WRITE
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending
from nomad_sim.api.routes import NomadApi, handle
from nomad_sim.faults import ConflictError


async def call_api(api: NomadApi, name: str, method: str, target: str) -> None:
    """Send a request to the agent ``name``, with a token that has agent:write. Raises ConflictError for an error."""
    world = api.cluster.world
    path, _, query = target.partition("?")
    token = next((token for token in api.acl.tokens if api.acl.allows(token, AGENT_WRITE)), "")
    request = ApiRequest(method, path, parse_qs(query), token, world.now, world.rng.random())
    reply = handle(api, name, request)
    while isinstance(reply, Pending):
        await asyncio.sleep(reply.seconds)
        reply = handle(api, name, request)
    if isinstance(reply, ApiResponse) and reply.status != 200:
        raise ConflictError(f"{name} returned {reply.status} for {method} {path}: {reply.body.decode().strip()}")
