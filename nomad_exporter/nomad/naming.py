"""The node name of an agent whose address has no host, such as one behind a Unix socket."""

from __future__ import annotations

from nomad_exporter import clock
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.nomad.sources.node import request_name
from nomad_exporter.nomad.sources.source import Send
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport

SECONDS = 2.0
"""Timeout for all requests together."""


def node_name(agent: Agent) -> str:
    """Return the node name of ``agent``, else its node ID; empty if it does not answer within ``SECONDS``.

    Both are the same for every exporter that runs on the node.
    """
    transport = Transport(agent, Contexts())
    began = clock.now()
    answer = SELF.poll(transport.get, clock.now, SECONDS)
    remaining = SECONDS - clock.now().since(began)
    name = _name_in(answer, transport.get, remaining) if isinstance(answer, AgentSelf) else ""
    transport.close()
    return name


def _name_in(answer: AgentSelf, send: Send, seconds: float) -> str:
    # A server reports its name in gossip, even if its configuration sets none.
    server_name = answer.member.name.removesuffix(f".{answer.region}") if answer.member else ""
    return answer.node_name or server_name or request_name(answer.node_id, send, seconds) or answer.node_id
