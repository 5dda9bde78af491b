"""Warnings: settings that are valid, but hardly what the user meant. Each is one line that names the source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from nomad_exporter.config.file import AgentEntries
from nomad_exporter.config.parsers import AgentUrl, agent_url
from nomad_exporter.config.settings import FILE_VARIABLE, PREFIX, SETTINGS
from nomad_exporter.nomad.agent import Address, Agent

_MEANT: Mapping[str, str] = {
    FILE_VARIABLE: FILE_VARIABLE,
    **{setting.own_variable: setting.variables[0] for setting in SETTINGS.values()},
}
"""The variable to set, by the exporter's own variable of each setting: for a secret, which has none, Nomad's."""

_OF_SERVICE = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""What follows the prefix in the variables that Kubernetes sets for a service called nomad-exporter, or so."""


def variable_warnings(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each variable of the exporter that no setting has, with the variable that is meant."""
    for name, value in environment.items():
        if name.startswith(PREFIX) and _MEANT.get(name) != name and not _is_of_service(name, value):
            yield f"{name} is ignored: unknown variable{_meant(name)}"


def _is_of_service(name: str, value: str) -> bool:
    # NOMAD_EXPORTER_PORT is a URL if Kubernetes has set it, and a number if a user meant to set the port.
    return bool(_OF_SERVICE.fullmatch(name.removeprefix(PREFIX))) or (name.endswith("_PORT") and "://" in value)


def _meant(name: str) -> str:
    # Without the common prefix, which would make all names similar.
    known = {other.removeprefix(PREFIX): variable for other, variable in _MEANT.items()}
    found = get_close_matches(name.removeprefix(PREFIX), known, 1, 0.7)
    return f", did you mean {known[found[0]]}?" if found else ""


def default_agent_warnings(url: AgentUrl, origin: str) -> Iterator[str]:
    """Yield warnings about the URL of the default agent, which ``origin`` has set."""
    if not url.has_port:
        yield f"{origin} {_no_port(url.address)}"
    if url.user_info and origin.startswith("-"):
        yield f"{origin} has a password, which other users can see in the arguments; set NOMAD_HTTP_AUTH instead"


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
