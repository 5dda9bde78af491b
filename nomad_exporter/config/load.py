"""Gathers the plan from all that was told: flags, environment, file, and what Nomad tells its tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nomad_exporter.config import file as config_file
from nomad_exporter.config.file import File
from nomad_exporter.config.model import Config, ConfigError, build_agent, build_config
from nomad_exporter.config.settings import AGENT, SETTINGS, TASK_ADDRESS, Settings
from nomad_exporter.nomad.agent import Agent

NameOf = Callable[[Agent], str]
"""Asks an agent for the name of its node; empty where it does not tell it."""

_NAMELESS = "the agent does not tell the name of its node, and is called by that of this machine until a restart"


@dataclass(frozen=True, slots=True)
class RawSettings:
    """What the command was given: the value of every setting by its field, read, and the configuration file.

    ``flags`` are the fields that were told on the command line, ``defaults`` those that were not told at all. Secrets
    stand in the ``environment`` alone.
    """

    values: Mapping[str, Any]
    flags: frozenset[str]
    defaults: frozenset[str]
    environment: Mapping[str, str]
    file: Path | None = None


def load_config(given: RawSettings, host_name: str, name_of: NameOf) -> Config:
    """The plan; the file is read anew at each call. Raises ConfigError or DocumentError, which name what is wrong.

    A flag wins over a variable, that over the file, and that over the default.
    """
    file = config_file.read(given.file) if given.file else File({}, {}, None)
    from_file = {field: value for field, value in file.settings.items() if field in given.defaults}
    settings = Settings(**{**given.values, **_secrets(given.environment), **from_file})
    try:
        if file.agents is None:
            watched, warnings = _the_one_agent(given, settings, host_name, name_of)
            return build_config(settings, (watched,), warnings)
        return build_config(settings, config_file.agents(file.agents, settings, host_name), tuple(_ignored(given)))
    except ConfigError as error:
        raise file.locate(error) from None


def _secrets(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that only the environment may give."""
    told = {field: environment.get(row.nomad[0]) for field, row in SETTINGS.items() if row.secret}
    return {field: SETTINGS[field].read(text) if text else None for field, text in told.items()}


def _the_one_agent(
    given: RawSettings, settings: Settings, host_name: str, name_of: NameOf
) -> tuple[Agent, tuple[str, ...]]:
    """The agent of the settings, and warnings about it.

    Inside a task of Nomad's, where nothing else is told, it is that of the task's own node.
    """
    watched = build_agent(settings, host_name)
    if "address" in given.flags or _told_by("address", given.environment)[:1] != [TASK_ADDRESS]:
        return watched, ()
    secrets = given.environment.get("NOMAD_SECRETS_DIR")
    renewed = Path(secrets, "nomad_token") if secrets else None
    if renewed and renewed.is_file() and watched.credentials.token_file is None:
        watched = replace(watched, credentials=replace(watched.credentials, token_file=renewed))
    name = settings.agent_name or name_of(watched)
    return (replace(watched, name=name), ()) if name else (watched, (_NAMELESS,))


def _ignored(given: RawSettings) -> Iterator[str]:
    """A warning for each setting of the one agent that is given beside a file that lists agents."""
    for field, row in SETTINGS.items():
        names = [row.flag] if field in given.flags else _told_by(field, given.environment)
        if row.section == AGENT and names:
            yield f"{names[0]} is ignored: the file lists the agents"


def _told_by(field: str, environment: Mapping[str, str]) -> list[str]:
    """The variables that tell a setting; the first one counts."""
    return [name for name in SETTINGS[field].variables if environment.get(name)]
