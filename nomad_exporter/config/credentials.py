"""The check of ``--config.check`` beyond the settings themselves: every credential file in use is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from nomad_exporter.config.model import ConfigError
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.config.yaml import DocumentError, Node
from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Agent


def check(agents: Sequence[Agent], listed: Sequence[Mapping[str, Node]] | None = None) -> None:
    """Reads the credential files of ``agents``, whose entries in a file are ``listed`` in the same order, if in one.

    Raises ConfigError or DocumentError, which name the setting whose file is of no use.
    """
    for number, agent in enumerate(agents):
        for field, use in _uses(agent):
            try:
                use()
            except tls.CredentialError as error:
                place = listed[number].get(SETTINGS[field].key) if listed else None
                raise (DocumentError(place.told(str(error))) if place else ConfigError(field, str(error))) from None


def _uses(agent: Agent) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is to be tried, with the field of the setting that is at fault where it fails."""
    if agent.credentials.token_file:
        yield "token_file", partial(tls.read, agent.credentials.token_file)
    if agent.address.scheme == "https":
        trust = replace(agent.tls, cert_file=None, key_file=None)
        yield ("ca_file" if agent.tls.ca_file else "ca_path"), partial(tls.context, trust)
        yield "cert_file", partial(tls.context, agent.tls)
