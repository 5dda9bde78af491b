"""``GET /v1/agent/pprof/…``: fixed profiles in the formats of Go's ``net/http/pprof``."""

from __future__ import annotations

from nomad_sim.api.acl import AGENT_WRITE, RPC_DENIALS, Acl, check_token
from nomad_sim.api.http import TEXT, ApiRequest, ApiResponse, Pending, Reply, error_response
from nomad_sim.api.profile import EXECUTION_TRACE, GOROUTINE_TRACES, GOROUTINES, SAMPLE_TYPES, encode_profile
from nomad_sim.api.targets import find_target, reject_two_targets
from nomad_sim.model.agents import Agent
from nomad_sim.model.world import World

PREFIX = "/v1/agent/pprof/"

MAX_SECONDS = 60.0
"""Longest duration of a CPU profile or a trace, in seconds."""

_COMMAND_LINE = b"\0".join((b"/usr/bin/nomad", b"agent", b"-config", b"/opt/nomad/agent.json"))
_TIMED_PROFILES = ("profile", "trace")

_BINARY = "application/octet-stream"
_NO_SNIFF = {"X-Content-Type-Options": "nosniff"}


def pprof(acl: Acl, world: World, agent: Agent, request: ApiRequest) -> Reply:
    """Return the profile that the rest of the path names; ``seconds`` and ``debug`` are read from the query.

    With ACLs, the token needs ``agent:write``. Without ACLs, the target agent needs ``enable_debug``.
    """
    version = agent.setup.version
    name = request.path.removeprefix(PREFIX)
    if not name:
        return error_response(version, 404, "Invalid method")
    denied = reject_two_targets(agent, request) or check_token(acl, agent, request, AGENT_WRITE, RPC_DENIALS)
    target = denied or find_target(world, agent, request, unknown_server=500)
    if not isinstance(target, Agent):
        return target
    if not target.setup.acl and not target.setup.enable_debug:
        return error_response(version, 403, "Permission denied")
    if name in _TIMED_PROFILES and world.now - request.received_at < _seconds(request):
        return Pending()
    return _profile(target, name, _parse_int(request, "debug"))


def _profile(agent: Agent, name: str, debug: int) -> ApiResponse:
    if name == "cmdline":
        return _text(_COMMAND_LINE)
    if name == "trace":
        return _file(name, EXECUTION_TRACE)
    if name not in SAMPLE_TYPES:
        return error_response(agent.setup.version, 404, f"Pprof profile not found profile: {name}")
    return (
        _text(_debug_text(name, debug).encode()) if debug and name != "profile" else _file(name, encode_profile(name))
    )


def _debug_text(name: str, debug: int) -> str:
    if name != "goroutine":
        return f"{name} profile: total 0\n"
    return GOROUTINES if debug == 1 else GOROUTINE_TRACES


def _text(body: bytes) -> ApiResponse:
    return ApiResponse(200, body, TEXT, _NO_SNIFF)


def _file(name: str, body: bytes) -> ApiResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_NO_SNIFF}
    return ApiResponse(200, body, _BINARY, headers)


def _seconds(request: ApiRequest) -> float:
    return min(float(_parse_int(request, "seconds") or 1), MAX_SECONDS)


def _parse_int(request: ApiRequest, name: str) -> int:
    """Return a query parameter as an integer; 0 if the value is not a number, as in Nomad."""
    text = request.first(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
