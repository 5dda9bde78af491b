"""The credential check of ``--config.check``, which reads every credential file in use once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from nomad_exporter.config.model import ConfigError, DocumentError
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.config.yaml import Node
from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Agent


def check_credentials(agents: Sequence[Agent], entries: Sequence[Mapping[str, Node]] | None = None) -> None:
    """Read the credential files of ``agents``.

    ``entries`` are the entries of the same agents in the configuration file, if the file lists them. Raises
    ConfigError or DocumentError, which name the setting whose file cannot be used.
    """
    for index, agent in enumerate(agents):
        for field, load in _credential_loaders(agent):
            try:
                load()
            except tls.CredentialError as error:
                raise _locate(field, error, entries[index] if entries else {}) from None


def _credential_loaders(agent: Agent) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield a function that loads a credential, with the field of the setting at fault if the function fails."""
    if agent.credentials.token_file:
        yield "token_file", partial(tls.read, agent.credentials.token_file)
    if agent.address.scheme == "https":
        trust = replace(agent.tls, cert_file=None, key_file=None)
        yield ("ca_file" if agent.tls.ca_file else "ca_path"), partial(tls.context, trust)
        yield "cert_file", partial(tls.context, agent.tls)


def _locate(field: str, error: tls.CredentialError, entries: Mapping[str, Node]) -> Exception:
    node = entries.get(SETTINGS[field].key)
    return DocumentError(node.describe(str(error))) if node else ConfigError(field, str(error))
