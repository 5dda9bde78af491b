"""The node name of an agent whose address has no host, such as one behind a Unix socket."""

from __future__ import annotations

from nomad_exporter.nomad import sources
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import SELF_PATH, Reply
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport

SECONDS = 2.0
"""Timeout for the request."""


def node_name(agent: Agent) -> str:
    """Request ``/v1/agent/self`` and return the node name; empty if there is no answer within ``SECONDS``."""
    transport = Transport(agent, Contexts())
    reply = transport.get(SELF_PATH, SECONDS)
    transport.close()
    answer = sources.agent_self(reply) if isinstance(reply, Reply) else None
    return getattr(answer, "node_name", "")
