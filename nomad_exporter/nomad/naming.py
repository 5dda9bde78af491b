"""The name that an agent gives its node, for an agent that is known by nothing but a socket."""

from __future__ import annotations

from nomad_exporter.nomad import sources
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import SELF_PATH, Reply
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport

SECONDS = 2.0


def node_name(agent: Agent) -> str:
    """The node name of ``agent``; empty where it does not tell it within two seconds."""
    transport = Transport(agent, Contexts())
    reply = transport.get(SELF_PATH, SECONDS)
    transport.close()
    answer = sources.agent_self(reply) if isinstance(reply, Reply) else None
    return getattr(answer, "node_name", "")
