"""The node name of an agent whose address has no host, such as one behind a Unix socket."""

from __future__ import annotations

from nomad_exporter import clock
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport

SECONDS = 2.0
"""Timeout for the request."""


def node_name(agent: Agent) -> str:
    """Request ``/v1/agent/self`` and return the node name; empty if there is no answer within ``SECONDS``."""
    transport = Transport(agent, Contexts())
    answer = SELF.poll(transport.get, clock.now, SECONDS)
    transport.close()
    return answer.node_name if isinstance(answer, AgentSelf) else ""
