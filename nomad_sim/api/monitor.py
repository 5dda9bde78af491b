"""``GET /v1/agent/monitor``: the log of an agent as an endless stream."""

from __future__ import annotations

from nomad_sim.api import frames
from nomad_sim.api.acl import AGENT_READ, RPC_DENIALS, Acl, check_token
from nomad_sim.api.http import JSON, ApiRequest, ApiResponse, Reply, Stream, error_response, parse_bool
from nomad_sim.api.targets import find_target, reject_two_targets
from nomad_sim.model import agent_log
from nomad_sim.model.agent_log import AgentLog
from nomad_sim.model.agents import Agent
from nomad_sim.model.world import World

HEARTBEAT_SECONDS = 1.0
"""Seconds between two heartbeat frames."""


class LogReader:
    """A reader of the lines that are logged from now on."""

    def __init__(self, log: AgentLog, level: str, as_json: bool, plain: bool, now: float) -> None:
        self._log, self._level, self._plain = log, level, plain
        self._format = frames.format_json if as_json else frames.format_plain
        self._next = log.next
        self._last_heartbeat = now

    def next_chunk(self, now: float) -> bytes:
        """Return the lines logged since the previous call, in frames unless plain."""
        chunk = self._log.read_from(self._next)
        self._next = chunk.next
        lines = [self._format(line) for line in chunk.lines if line.is_shown_at(self._level)]
        data = b"".join([*([frames.format_dropped(chunk.dropped)] if chunk.dropped else []), *lines])
        return data if self._plain else b"".join(frames.encode_frames(data)) + self._heartbeat(now)

    def _heartbeat(self, now: float) -> bytes:
        if now - self._last_heartbeat < HEARTBEAT_SECONDS:
            return b""
        self._last_heartbeat = now
        return frames.HEARTBEAT


def monitor(acl: Acl, world: World, agent: Agent, request: ApiRequest) -> Reply:
    """Return the log as a stream. Invalid parameters are reported before the token is checked."""
    try:
        level = agent_log.parse_level(request.first("log_level"))
        as_json, plain = _parse_flag(request, "log_json", "log json"), _parse_flag(request, "plain", "plain")
    except ValueError as error:
        return error_response(agent.setup.version, 400, str(error))
    content_type = "text/plain" if plain else JSON
    denied = reject_two_targets(agent, request) or _check_access(acl, agent, request, content_type)
    target = denied or find_target(world, agent, request, unknown_server=400)
    if not isinstance(target, Agent):
        return target
    reader = LogReader(world.logs[target.name], level, as_json, plain, world.now)
    return Stream(content_type, reader.next_chunk, defer_headers=plain)


def _parse_flag(request: ApiRequest, name: str, label: str) -> bool:
    text = request.first(name)
    flag = parse_bool(text or "false")
    if flag is None:
        raise ValueError(f'Unknown option for {label}: strconv.ParseBool: parsing "{text}": invalid syntax')
    return flag


def _check_access(acl: Acl, agent: Agent, request: ApiRequest, content_type: str) -> ApiResponse | None:
    denial = check_token(acl, agent, request, AGENT_READ, RPC_DENIALS)
    # Nomad's servers do not report an unknown token here: they send 200 and end the stream.
    if denial and agent.server and request.token and not acl.has_token(request.token):
        return ApiResponse(200, content_type=content_type)
    return denial
