"""The check of ``--config.check`` beyond the settings themselves: every credential file is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from nomad_exporter.config.plan import ConfigError
from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Agent


def check(agents: tuple[Agent, ...]) -> None:
    """Reads the credential files of ``agents``. Raises ConfigError, which names the setting whose file is of no use."""
    for agent in agents:
        for field, use in _uses(agent):
            try:
                use()
            except tls.CredentialError as error:
                which = f" (agent {agent.name})" if len(agents) > 1 else ""
                raise ConfigError(field, f"{error}{which}") from None


def _uses(agent: Agent) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is to be tried, with the field of the setting that is at fault where it fails."""
    if agent.credentials.token_file:
        yield "token_file", partial(tls.read, agent.credentials.token_file)
    if agent.address.scheme == "https":
        trust = replace(agent.tls, cert_file=None, key_file=None)
        yield ("ca_file" if agent.tls.ca_file else "ca_path"), partial(tls.context, trust)
        yield "cert_file", partial(tls.context, agent.tls)
