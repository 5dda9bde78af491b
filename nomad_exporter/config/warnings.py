"""Warnings: settings that are valid, but hardly what the user meant. Each is one line that names the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nomad_exporter.config.file import AgentEntries
from nomad_exporter.config.parsers import AgentUrl, agent_url
from nomad_exporter.nomad.agent import Address, Agent


def default_agent_warnings(url: AgentUrl, origin: str) -> Iterator[str]:
    """Yield warnings about the URL of the default agent, which ``origin`` has set."""
    if not url.has_port:
        yield f"{origin} {_no_port(url.address)}"


def file_warnings(listed: Sequence[AgentEntries], agents: Sequence[Agent]) -> Iterator[str]:
    """Yield warnings about the ``agents`` that a file lists with these entries."""
    first: dict[Address, Agent] = {}
    for entries, agent in zip(listed, agents, strict=True):
        node, address = entries["address"], agent.address
        if not agent_url(node.text()).has_port:
            yield node.describe(_no_port(address))
        if first.setdefault(address, agent) is not agent:
            yield node.describe(f"is also the address of {first[address].name}: one agent is polled and counted twice")


def _no_port(address: Address) -> str:
    return f"has no port, using {address.port}; the default port of Nomad is 4646"
