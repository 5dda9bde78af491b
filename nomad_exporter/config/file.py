"""The configuration file: the settings that it gives, and the agents that it lists.

::

    defaults: {token_file: secrets/token, ca_file: tls/ca.pem}
    agents:
      - {name: s1, address: https://10.0.0.1:4646, cluster: east, labels: {rack: a}}
    poll: {interval: 15s}
    verdict: {heartbeat_grace: 10s}
    web: {listen_address: [":9441"]}
    log: {level: info}

Its keys are those of the flags (``settings.Setting``); paths are relative to the folder of the file. Every mistake is a
``DocumentError`` that names the line and the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nomad_exporter.config import yaml
from nomad_exporter.config.model import ConfigError, build_agent
from nomad_exporter.config.parsers import masked, name
from nomad_exporter.config.settings import AGENT, SETTINGS, Setting, Settings
from nomad_exporter.config.yaml import DocumentError, Node
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.serving.listen import Listen

RESERVED_LABELS = {
    *("agent", "address", "nomad_cluster", "nomad_region"),
    *("job", "instance", "cluster", "region", "namespace", "pod", "container", "service", "node", "endpoint"),
}
"""Labels that the exporter, Prometheus or its operator set themselves."""

_SECTIONS = ("poll", "verdict", "web", "log")
_FIELDS = {(row.section, row.key): field for field, row in SETTINGS.items()}
_AGENT_KEYS = {key for section, key in _FIELDS if section == AGENT} | {"labels"}
_DEFAULT_KEYS = _AGENT_KEYS - {"name", "address"}
_INSTEAD = {"token": "token_file", "token_file": "token"}
"""An agent's own token takes the place of a shared token file, and the other way round."""

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class File:
    """What a file says. ``settings`` are by field of ``Settings``; ``agents`` is None where it lists none."""

    settings: Mapping[str, Any]
    places: Mapping[str, Node]
    agents: tuple[Mapping[str, Node], ...] | None

    def locate(self, error: ConfigError) -> Exception:
        """``error`` by its line and key, where the setting at fault stands in the file."""
        place = self.places.get(error.field)
        return DocumentError(place.told(error.why(_dotted))) if place else error


def _dotted(row: Setting) -> str:
    return f"{row.section}.{row.key}"


def read(path: Path) -> File:
    """The file at ``path``. Raises DocumentError."""
    top = yaml.read(path).entries({"agents", "defaults", *_SECTIONS})
    places = {
        _FIELDS[section, key]: place
        for section in _SECTIONS
        if section in top
        for key, place in top[section].entries({key for of, key in _FIELDS if of == section}).items()
    }
    if "defaults" in top and "agents" not in top:
        top["defaults"].fail("serve nothing without agents")
    return File({field: _value(field, place) for field, place in places.items()}, places, _listed(top))


def _listed(top: Mapping[str, Node]) -> tuple[Mapping[str, Node], ...] | None:
    """The entries of each agent, its own and those of the defaults that it does not replace."""
    if "agents" not in top:
        return None
    shared = top["defaults"].entries(_DEFAULT_KEYS) if "defaults" in top else {}
    if not top["agents"].items():
        top["agents"].fail("must list at least one agent")
    return tuple(_entries(place, shared) for place in top["agents"].items())


def _entries(place: Node, shared: Mapping[str, Node]) -> Mapping[str, Node]:
    own = place.entries(_AGENT_KEYS)
    if "address" not in own:
        place.fail("has no address")
    kept = {key: at for key, at in shared.items() if _INSTEAD.get(key) not in own}
    return {**kept, **own}


def agents(listed: tuple[Mapping[str, Node], ...], settings: Settings, host_name: str) -> tuple[Agent, ...]:
    """The agents that a file lists; of ``settings`` only what is not about an agent counts. Raises DocumentError."""
    unset: dict[str, Any] = {
        field: False if row.switch else None for field, row in SETTINGS.items() if row.section == AGENT
    }
    blank = replace(settings, **unset)
    found: dict[str, tuple[Agent, Node]] = {}
    for entries in listed:
        made, at = _agent(entries, blank, host_name), entries.get("name", entries["address"])
        if made.name in found:
            at.fail(f"another agent is called {made.name} too, in line {found[made.name][1].line}")
        found[made.name] = made, at
    return tuple(made for made, _ in found.values())


def _agent(entries: Mapping[str, Node], blank: Settings, host_name: str) -> Agent:
    fields = {key: _FIELDS[AGENT, key] for key in entries if (AGENT, key) in _FIELDS}
    given = {field: _value(field, entries[key]) for key, field in fields.items()}
    try:
        return replace(build_agent(replace(blank, **given), host_name), labels=_labels(entries.get("labels")))
    except ConfigError as error:
        return entries[SETTINGS[error.field].key].fail(error.why(lambda row: row.key))


def _labels(place: Node | None) -> tuple[tuple[str, str], ...]:
    entries = place.entries() if place else {}
    for label, at in entries.items():
        if not _LABEL_NAME.fullmatch(label) or label.startswith("__"):
            at.fail("is no name of a label")
        if label in RESERVED_LABELS:
            at.fail("is a label that the exporter or Prometheus sets; choose another name")
    return tuple(sorted((label, _name(at)) for label, at in entries.items()))


def _name(place: Node) -> str:
    """A text that can stand in a label."""
    try:
        return name(place.text())
    except ValueError as error:
        place.fail(str(error))


def _value(field: str, place: Node) -> Any:
    row = SETTINGS[field]
    if row.repeat:
        return tuple(_read(row, item) for item in place.items())
    if row.switch:
        return _truth(place)
    return _read(row, place)


def _truth(place: Node) -> bool:
    text = place.text()
    if text not in ("true", "false"):
        place.fail("must be true or false")
    return text == "true"


def _read(row: Setting, place: Node) -> Any:
    text = place.text()
    try:
        return _from(place.file.parent, row.read(text))
    except ValueError as error:
        shown = "********" if row.secret else masked(text)
        place.fail(f"{shown!r}: {error}")


def _from(folder: Path, value: Any) -> Any:
    """``value``; where it is a path that is not absolute, as seen from ``folder``."""
    if isinstance(value, Listen) and value.path:
        return replace(value, path=str(folder / value.path))
    return folder / value if isinstance(value, Path) else value
