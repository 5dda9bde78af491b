"""The configuration file: settings, and the agents to monitor.

::

    defaults: {token_file: secrets/token, ca_file: tls/ca.pem}
    agents:
      - {name: s1, address: https://10.0.0.1:4646, cluster: east, role: server, labels: {rack: a}}
    poll: {interval: 15s}
    verdict: {heartbeat_grace: 10s}
    web: {listen_address: [":9441"]}
    log: {level: info}

The keys are those of the flags (``settings.Setting``), and those of an agent that no flag sets (``_FILE_ONLY``). Paths
are relative to the directory of the file. Every error is a ``DocumentError`` that names the line and the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nomad_exporter.config.model import ConfigError, build_agent
from nomad_exporter.config.parsers import mask_password, name, one_of, refuse_placeholder
from nomad_exporter.config.settings import AGENT, SECTIONS, SETTINGS, Setting, Settings
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.models import Role
from nomad_exporter.server.listen import Listen

if TYPE_CHECKING:
    from nomad_exporter.config.yaml import Node

RESERVED_LABELS = {
    *("agent", "address", "nomad_cluster", "nomad_region"),
    *("job", "instance", "cluster", "region", "namespace", "pod", "container", "service", "node", "endpoint"),
}
"""Label names that the exporter, Prometheus or the Prometheus operator set."""

T = TypeVar("T")

AgentEntries = Mapping[str, "Node"]
"""The entries of one agent, including the defaults that apply to it, by key."""

_SECTIONS = [section for section in SECTIONS if section != AGENT]
_FIELDS = {(setting.section, setting.key): field for field, setting in SETTINGS.items()}
_OVERRIDDEN_BY = {"token": "token_file", "token_file": "token"}
"""A token of the agent overrides a default token file, and a token file of the agent a default token."""

_INSTEAD = {"token": "; token_file names a file with the token"}
"""What to use instead of an invalid value of a key."""

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ROLES = {"server": {Role.SERVER}, "client": {Role.CLIENT}, "both": set(Role)}


@dataclass(frozen=True, slots=True)
class File:
    """The content of a configuration file.

    ``settings`` and ``nodes`` hold the value and the node of each setting, by field of ``Settings``. ``agents`` is None
    if the file lists no agents.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    agents: tuple[AgentEntries, ...] | None = None


def read(path: Path | None) -> File:
    """Return the content of the file at ``path``, which is empty if there is no path. Raises DocumentError."""
    if path is None:
        return File()
    # PyYAML would be a tenth of the start of a command that reads no file.
    from nomad_exporter.config import yaml

    top = yaml.read(path).entries({"agents", "defaults", *_SECTIONS})
    nodes = _setting_nodes(top)
    if "defaults" in top and "agents" not in top:
        top["defaults"].fail("has no effect without agents")
    return File({field: _parse(field, node) for field, node in nodes.items()}, nodes, _agent_entries(top))


def _setting_nodes(top: Mapping[str, Node]) -> Mapping[str, Node]:
    return {
        _FIELDS[section, key]: node
        for section in _SECTIONS
        if section in top
        for key, node in top[section].entries({key for of, key in _FIELDS if of == section}).items()
    }


def _agent_entries(top: Mapping[str, Node]) -> tuple[AgentEntries, ...] | None:
    if "agents" not in top:
        return None
    defaults = top["defaults"].entries(_DEFAULTS_KEYS) if "defaults" in top else {}
    if not top["agents"].items():
        top["agents"].fail("must list at least one agent")
    return tuple(_with_defaults(node, defaults) for node in top["agents"].items())


def _with_defaults(agent: Node, defaults: Mapping[str, Node]) -> AgentEntries:
    entries = agent.entries(_AGENT_KEYS)
    if "address" not in entries:
        agent.fail("must have an address")
    inherited = {key: node for key, node in defaults.items() if _OVERRIDDEN_BY.get(key) not in entries}
    return {**inherited, **entries}


def build_agents(listed: tuple[AgentEntries, ...], settings: Settings, host_name: str) -> tuple[Agent, ...]:
    """Return the agents that a file lists. Raises DocumentError.

    The settings in ``settings`` that describe an agent are ignored. ``host_name`` names a local agent without a name.
    """
    unset: dict[str, Any] = {
        field: False if setting.switch else None for field, setting in SETTINGS.items() if setting.section == AGENT
    }
    base = replace(settings, **unset)
    agents: list[Agent] = []
    lines: dict[str, int] = {}
    for entries in listed:
        agent, node = _build_agent(entries, base, host_name), entries.get("name", entries["address"])
        if agent.name in lines:
            node.fail(f"duplicate agent name {agent.name} (first used in line {lines[agent.name]})")
        lines[agent.name] = node.line
        agents.append(agent)
    return tuple(agents)


def _build_agent(entries: AgentEntries, base: Settings, host_name: str) -> Agent:
    fields = {key: _FIELDS[AGENT, key] for key in entries if (AGENT, key) in _FIELDS}
    values = {field: _parse(field, entries[key]) for key, field in fields.items()}
    facts = {field: parse(entries[key]) for key, (field, parse) in _FILE_ONLY.items() if key in entries}
    try:
        return replace(build_agent(replace(base, **values), host_name), **facts)
    except ConfigError as error:
        problem = error.with_names(lambda field: SETTINGS[field].key).problem
        return entries[SETTINGS[error.field].key].fail(problem)


def _parse_labels(labels: Node) -> tuple[tuple[str, str], ...]:
    entries = labels.entries()
    for label, node in entries.items():
        if not _LABEL_NAME.fullmatch(label) or label.startswith("__"):
            node.fail("is not a valid label name")
        if label in RESERVED_LABELS:
            node.fail("is a reserved label name, set by the exporter or by Prometheus")
    return tuple(sorted((label, _parse_name(node)) for label, node in entries.items()))


def _parse_name(node: Node) -> str:
    return _parse_with(name, node)


def _parse_role(node: Node) -> frozenset[Role]:
    return frozenset(_ROLES[_parse_with(one_of(tuple(_ROLES)), node)])


def _parse_with(parse: Callable[[str], T], node: Node) -> T:
    text = node.text()
    try:
        refuse_placeholder(text)
        return parse(text)
    except ValueError as error:
        node.fail(f"{error} (got {text!r})")


_FILE_ONLY: Mapping[str, tuple[str, Callable[[Node], Any]]] = {
    "labels": ("labels", _parse_labels),
    "region": ("region", _parse_name),
    "role": ("roles", _parse_role),
}
"""The keys of an agent that are no settings, each with the field of ``Agent`` and its parser."""

_AGENT_KEYS = {key for section, key in _FIELDS if section == AGENT} | _FILE_ONLY.keys()
_DEFAULTS_KEYS = _AGENT_KEYS - {"name", "address"}


def _parse(field: str, node: Node) -> Any:
    setting = SETTINGS[field]
    if setting.repeat:
        return tuple(_parse_text(setting, item) for item in node.items())
    if setting.switch:
        return _parse_switch(node)
    return _parse_text(setting, node)


def _parse_switch(node: Node) -> bool:
    text = node.text()
    if text.lower() not in ("true", "false"):
        node.fail(f"must be true or false (got {text!r})")
    return text.lower() == "true"


def _parse_text(setting: Setting, node: Node) -> Any:
    text = node.text()
    try:
        refuse_placeholder(text)
        return _resolve(node.file.parent, setting.parse(text))
    except ValueError as error:
        shown = "********" if setting.secret else mask_password(text)
        node.fail(f"{error} (got {shown!r}){_INSTEAD.get(setting.key, '')}")


def _resolve(directory: Path, value: Any) -> Any:
    """Return ``value``; a relative path is resolved against ``directory``."""
    if isinstance(value, Listen) and value.path:
        return replace(value, path=str(directory / value.path))
    return directory / value if isinstance(value, Path) else value
