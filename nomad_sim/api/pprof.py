"""``GET /v1/agent/pprof/…``: profiles of this process, in the place of the agent's."""

from __future__ import annotations

from nomad_exporter.demo.face import stacks
from nomad_exporter.demo.face.acl import AGENT_WRITE, OTHERS, Acl, judged
from nomad_exporter.demo.face.answers import TEXT, Answer, Question, Reply, Sampled, error
from nomad_exporter.demo.face.profile import KINDS, Profile, encode
from nomad_exporter.demo.face.targets import both, target
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.world import World

PREFIX = "/v1/agent/pprof/"

EVERY = 0.01
"""Seconds between two looks at the stacks."""

LONGEST = 60.0
"""Nobody is profiled for longer, in seconds."""

_OF_A_MOMENT = KINDS.keys() - {"cpu"}

_BINARY = "application/octet-stream"
_AS_IT_IS = {"X-Content-Type-Options": "nosniff"}


def pprof(acl: Acl, world: World, agent: Agent, question: Question) -> Reply:
    """What the rest of the path names; ``seconds`` is for ``profile``, ``debug`` for the others.

    Without access control it is only answered where debugging is enabled; with it, to who may write.
    """
    version = agent.setup.version
    name = question.path.removeprefix(PREFIX)
    if not name:
        return error(version, 404, "Invalid method")
    refused = both(agent, question) or judged(acl, agent, question, AGENT_WRITE, OTHERS)
    found = refused or target(world, agent, question, unknown_server=500)
    if not isinstance(found, Agent):
        return found
    if not found.setup.acl and not found.setup.enable_debug:
        return error(version, 403, "Permission denied")
    return _named(world, found, name, question)


def _named(world: World, agent: Agent, name: str, question: Question) -> Reply:
    if name == "cmdline":
        return _text(_command_line())
    if name == "profile":
        return Sampled(_seconds(question), lambda looks: _file(stacks.counted(looks, EVERY, world.now), name))
    if name == "trace":
        return error(agent.setup.version, 501, "a simulated agent has no execution trace")
    if name not in _OF_A_MOMENT:
        return error(agent.setup.version, 404, f"Pprof profile not found profile: {name}")
    return _of_this_moment(world, name, _number(question, "debug"))


def _command_line() -> bytes:
    return b"\0".join((b"/usr/bin/nomad", b"agent", b"-config", b"/opt/nomad/agent.json"))


def _of_this_moment(world: World, name: str, debug: int) -> Answer:
    seen = stacks.stacks()
    if debug and name == "goroutine":
        text = stacks.goroutine_text(seen) if debug == 1 else stacks.goroutine_traces(seen)
        return _text(text.encode())
    if debug:
        return _text(f"{name} profile: total 0\n".encode())
    lists = name in ("goroutine", "threadcreate")
    return _file(stacks.listed(KINDS[name], seen, world.now) if lists else Profile(KINDS[name], (), world.now), name)


def _text(body: bytes) -> Answer:
    return Answer(200, body, TEXT, _AS_IT_IS)


def _file(profile: Profile, name: str) -> Answer:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_AS_IT_IS}
    return Answer(200, encode(profile), _BINARY, headers)


def _seconds(question: Question) -> float:
    return min(float(_number(question, "seconds") or 1), LONGEST)


def _number(question: Question, name: str) -> int:
    """As Go reads it: what is no number is 0."""
    text = question.first(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
