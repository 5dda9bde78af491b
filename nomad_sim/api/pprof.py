"""``GET /v1/agent/pprof/…``: profiles of this process, in the place of the agent's."""

from __future__ import annotations

from nomad_sim.api import stacks
from nomad_sim.api.acl import AGENT_WRITE, RPC_DENIALS, Acl, check_token
from nomad_sim.api.http import TEXT, ApiRequest, ApiResponse, Profiling, Reply, error_response
from nomad_sim.api.profile import KINDS, Profile, encode_profile
from nomad_sim.api.targets import find_target, reject_two_targets
from nomad_sim.model.agents import Agent
from nomad_sim.model.world import World

PREFIX = "/v1/agent/pprof/"

SAMPLE_SECONDS = 0.01
"""Seconds between two looks at the stacks."""

MAX_SECONDS = 60.0
"""Nobody is profiled for longer, in seconds."""

_INSTANT_PROFILES = KINDS.keys() - {"cpu"}

_BINARY = "application/octet-stream"
_NO_SNIFF = {"X-Content-Type-Options": "nosniff"}


def pprof(acl: Acl, world: World, agent: Agent, request: ApiRequest) -> Reply:
    """What the rest of the path names; ``seconds`` is for ``profile``, ``debug`` for the others.

    Without access control it is only answered where debugging is enabled; with it, to who may write.
    """
    version = agent.setup.version
    name = request.path.removeprefix(PREFIX)
    if not name:
        return error_response(version, 404, "Invalid method")
    denied = reject_two_targets(agent, request) or check_token(acl, agent, request, AGENT_WRITE, RPC_DENIALS)
    found = denied or find_target(world, agent, request, unknown_server=500)
    if not isinstance(found, Agent):
        return found
    if not found.setup.acl and not found.setup.enable_debug:
        return error_response(version, 403, "Permission denied")
    return _respond_profile(world, found, name, request)


def _respond_profile(world: World, agent: Agent, name: str, request: ApiRequest) -> Reply:
    if name == "cmdline":
        return _text(_command_line())
    if name == "profile":
        return Profiling(
            _seconds(request), lambda captures: _file(stacks.cpu_profile(captures, SAMPLE_SECONDS, world.now), name)
        )
    if name == "trace":
        return error_response(agent.setup.version, 501, "a simulated agent has no execution trace")
    if name not in _INSTANT_PROFILES:
        return error_response(agent.setup.version, 404, f"Pprof profile not found profile: {name}")
    return _instant_profile(world, name, _number(request, "debug"))


def _command_line() -> bytes:
    return b"\0".join((b"/usr/bin/nomad", b"agent", b"-config", b"/opt/nomad/agent.json"))


def _instant_profile(world: World, name: str, debug: int) -> ApiResponse:
    captured = stacks.capture_stacks()
    if debug and name == "goroutine":
        text = stacks.goroutine_text(captured) if debug == 1 else stacks.goroutine_traces(captured)
        return _text(text.encode())
    if debug:
        return _text(f"{name} profile: total 0\n".encode())
    lists = name in ("goroutine", "threadcreate")
    return _file(
        stacks.instant_profile(KINDS[name], captured, world.now) if lists else Profile(KINDS[name], (), world.now), name
    )


def _text(body: bytes) -> ApiResponse:
    return ApiResponse(200, body, TEXT, _NO_SNIFF)


def _file(profile: Profile, name: str) -> ApiResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_NO_SNIFF}
    return ApiResponse(200, encode_profile(profile), _BINARY, headers)


def _seconds(request: ApiRequest) -> float:
    return min(float(_number(request, "seconds") or 1), MAX_SECONDS)


def _number(request: ApiRequest, name: str) -> int:
    """As Go reads it: what is no number is 0."""
    text = request.first(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
