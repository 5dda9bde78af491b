"""Loading of the configuration from flags, environment, file and, inside a Nomad task, the task's environment.

``check_credentials`` also reads the credential files in use, for ``--config.check``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nomad_exporter.config import file as config_file
from nomad_exporter.config.file import File
from nomad_exporter.config.model import (
    Config,
    ConfigError,
    DocumentError,
    UnreadableFile,
    build_agent,
    build_config,
    flag_of,
)
from nomad_exporter.config.parsers import refuse_placeholder
from nomad_exporter.config.settings import AGENT, FILE_FLAG, PREFIX, SETTINGS, TASK_ADDRESS, Setting, Settings
from nomad_exporter.config.warnings import default_agent_warnings, file_warnings, variable_warnings
from nomad_exporter.nomad.agent import Agent

if TYPE_CHECKING:
    from nomad_exporter.config.yaml import Node

GetNodeName = Callable[[Agent], str]
"""Requests the node name of an agent; returns an empty string if there is no answer."""

_NO_NODE_NAME = "agent did not report its node name, using the name of this host until a restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSettings:
    """The settings of a command line and its environment, before the configuration file is read.

    ``values`` are the parsed values by field. ``flags`` are the fields set on the command line; ``defaults`` are the
    fields set neither there nor in the environment. Secrets are in ``environment`` only. ``file_origin`` is the flag or
    the variable that names the file.
    """

    values: Mapping[str, Any]
    flags: frozenset[str]
    defaults: frozenset[str]
    environment: Mapping[str, str]
    file: Path | None = None
    file_origin: str = FILE_FLAG

    def origins(self, field: str) -> list[str]:
        """Return the flag, or else the variables, that set ``field``; the first one counts."""
        if field in self.flags:
            return [flag_of(field)]
        return [name for name in SETTINGS[field].variables if self.environment.get(name)]


def load_config(raw: RawSettings, host_name: str, get_node_name: GetNodeName) -> Config:
    """Return the configuration; each call reads the file again. Raises ConfigError or DocumentError.

    Precedence: flag, environment variable, file, default.
    """
    file = _read(raw)
    about_variables = tuple(variable_warnings(raw.environment))
    from_file = {field: value for field, value in file.settings.items() if field in raw.defaults}
    try:
        settings = Settings(**{**raw.values, **_secrets(raw.environment), **from_file})
        if file.agents is None:
            agent, warnings = _build_default_agent(raw, settings, host_name, get_node_name)
            origin = "".join(raw.origins("address")[:1])
            about_address = default_agent_warnings(settings.address, origin)
            return build_config(settings, (agent,), (*about_variables, *warnings, *about_address))
        agents = config_file.build_agents(file.agents, settings, host_name)
        about_agents = file_warnings(file.agents, agents)
        return build_config(settings, agents, (*about_variables, *_ignored_settings(raw), *about_agents))
    except ConfigError as error:
        raise locate(error, raw, file) from None


def _read(raw: RawSettings) -> File:
    try:
        return config_file.read(raw.file)
    except UnreadableFile as error:
        raise DocumentError(f"{raw.file_origin} {error}") from None


def locate(error: ConfigError, raw: RawSettings, file: File) -> ConfigError | DocumentError:
    """Return ``error`` with each setting named as the user set it: by flag, by variable, or by key in the file."""
    node = file.nodes.get(error.field) if error.field in raw.defaults else None
    origin = "".join(raw.origins(error.field)[:1])

    def name(field: str) -> str:
        setting = SETTINGS[field]
        is_in_file = field in raw.defaults and (node is not None or field in file.nodes)
        return f"{setting.section}.{setting.key}" if is_in_file else [*raw.origins(field), _like(origin, setting)][0]

    named = error.with_names(name)
    return DocumentError(node.describe(named.problem)) if node else named


def _like(origin: str, setting: Setting) -> str:
    """Return what sets ``setting`` in the way of ``origin``: a variable of Nomad or of the exporter, or the flag."""
    if origin.startswith("-") or not origin:
        return setting.flag
    return setting.nomad[0] if setting.nomad and not origin.startswith(PREFIX) else setting.variables[0]


def _secrets(environment: Mapping[str, str]) -> dict[str, Any]:
    texts = {field: environment.get(setting.nomad[0]) for field, setting in SETTINGS.items() if setting.secret}
    return {field: _parse_secret(field, text) if text else None for field, text in texts.items()}


def _parse_secret(field: str, text: str) -> Any:
    try:
        refuse_placeholder(text)
        return SETTINGS[field].parse(text)
    except ValueError as error:
        raise ConfigError(field, str(error)) from None


def _build_default_agent(
    raw: RawSettings, settings: Settings, host_name: str, get_node_name: GetNodeName
) -> tuple[Agent, tuple[str, ...]]:
    """Return the agent that the settings describe, and warnings about it.

    Inside a Nomad task, and if no other address is set, the agent is the one that runs the task.
    """
    agent = build_agent(settings, host_name)
    if raw.origins("address")[:1] != [TASK_ADDRESS]:
        return agent, ()
    secrets_dir = raw.environment.get("NOMAD_SECRETS_DIR")
    # Nomad renews the token of the task's workload identity in this file.
    token_file = Path(secrets_dir, "nomad_token") if secrets_dir else None
    if token_file and token_file.is_file() and agent.credentials.token_file is None:
        agent = replace(agent, credentials=replace(agent.credentials, token_file=token_file))
    name = settings.agent_name or _valid_name(get_node_name(agent))
    return (replace(agent, name=name), ()) if name else (agent, (_NO_NODE_NAME,))


def _valid_name(text: str) -> str:
    """Return a name that an agent reported; empty if the setting would not accept the name."""
    try:
        return str(SETTINGS["agent_name"].parse(text))
    except ValueError:
        return ""


def _ignored_settings(raw: RawSettings) -> Iterator[str]:
    """Yield a warning for each setting of the default agent that is set although the file lists agents."""
    for field, setting in SETTINGS.items():
        if setting.section == AGENT and (origins := raw.origins(field)):
            yield f"{origins[0]} is ignored: the configuration file lists agents"


# Credential files.


def check_credentials(agents: Sequence[Agent], entries: Sequence[Mapping[str, Node]] | None = None) -> None:
    """Read the credential files of ``agents``.

    ``entries`` are the entries of the same agents in the configuration file, if the file lists them. Raises
    ConfigError or DocumentError, which name the setting whose file cannot be used.
    """
    from nomad_exporter.nomad import tls  # Imported here: ``--help`` needs no TLS.

    for index, agent in enumerate(agents):
        for field, load in _credential_loaders(agent):
            try:
                load()
            except tls.CredentialError as error:
                raise _locate_file(field, error, entries[index] if entries else {}) from None


def _credential_loaders(agent: Agent) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield a function that loads a credential, with the field of the setting at fault if the function fails."""
    from nomad_exporter.nomad import tls  # Likewise.

    if agent.credentials.token_file:
        yield "token_file", partial(tls.read_token, agent.credentials.token_file)
    if agent.address.scheme == "https":
        trust = replace(agent.tls, cert_file=None, key_file=None)
        yield ("ca_file" if agent.tls.ca_file else "ca_path"), partial(tls.context, trust)
        if agent.tls.key_file:
            yield "key_file", partial(tls.check_key, agent.tls.key_file)
        yield "cert_file", partial(tls.context, agent.tls)


def _locate_file(field: str, error: Exception, entries: Mapping[str, Node]) -> Exception:
    node = entries.get(SETTINGS[field].key)
    return DocumentError(node.describe(str(error))) if node else ConfigError(field, str(error))
