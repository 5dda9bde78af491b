"""``GET /v1/agent/health``: what an agent finds of itself, with its traps."""

from __future__ import annotations

from typing import Any

from nomad_exporter.demo.face.answers import Answer, Held, Question, error, json_answer, truth
from nomad_exporter.demo.face.asking import Fault, answerer
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.world import World

_STALE = "Expect `true` or `false` for `stale` query string parameter"

Verdict = dict[str, Any]


def health(world: World, agent: Agent, question: Question) -> Answer | Held:
    """Each role that was asked for; of a type that is none nothing is said, and that is well."""
    fault = _stale_fault(agent, question)
    if fault and not agent.setup.version.stale_error_runs_on:
        return error(agent.setup.version, 400, fault)
    server = _server(world, agent, question) if _asks(question, "server", agent.server is not None) else None
    if isinstance(server, Held):
        return server
    client = _client(agent) if _asks(question, "client", agent.client is not None) else None
    told = {role: verdict for role, verdict in (("client", client), ("server", server)) if verdict}
    green = json_answer(told, question)
    text = green.body.decode()
    if fault:
        return error(agent.setup.version, 400, f"{fault}, got {question.first('stale')}{text}")
    return green if all(verdict["ok"] for verdict in told.values()) else error(agent.setup.version, 500, text)


def _asks(question: Question, role: str, has_role: bool) -> bool:
    types = question.parameters.get("type")
    return has_role if types is None else role in types


def _stale_fault(agent: Agent, question: Question) -> str:
    value = question.first("stale")
    wrong = value != "" and truth(value) is None and agent.setup.version.strict_stale
    return _STALE if wrong else ""


def _client(agent: Agent) -> Verdict:
    if agent.client is None:
        return _red("client not enabled")
    return _green() if agent.client.servers else _red("no known servers")


def _server(world: World, agent: Agent, question: Question) -> Verdict | Held:
    if agent.server is None:
        return _red("server not enabled")
    asked = answerer(world, agent, question)
    if isinstance(asked, Held):
        return asked
    if isinstance(asked, Fault):
        return _red(asked.text)
    return _green() if world.server(asked.name).raft.leader else _red("no leader")


def _green() -> Verdict:
    return {"message": "ok", "ok": True}


def _red(message: str) -> Verdict:
    return {"ok": False, "message": message}
