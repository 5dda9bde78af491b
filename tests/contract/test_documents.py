"""The documents say what the code does: generated tables are fresh, excerpts are real, the value arrives as told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.generate_docs import README, generated
from nomad_exporter.cli import command
from nomad_exporter.clock import Instant
from nomad_exporter.config.model import Config
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.render import render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.sources import Reply, Source
from nomad_exporter.polling.poller import poll
from nomad_exporter.polling.store import Store
from tests.support.pages import page_of

ROOT = README.parent
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
EXCERPTS = re.findall(r"```python (\S+)\n(.*?)```", ARCHITECTURE, re.DOTALL)


class Wire:
    """An agent that says of itself what the document says."""

    certificates = Certificates()

    def get(self, path: str, seconds: float) -> Reply:
        told = re.findall(r"```json\n(.*?)\n```", ARCHITECTURE)[0]
        return Reply(200, f'{{"stats": {{"nomad": {{}}, {told}}}}}'.encode())


def test_the_tables_of_the_readme_are_as_the_code_makes_them() -> None:
    assert generated(README.read_text()) == README.read_text(), "run make docs"


@pytest.mark.parametrize(("path", "excerpt"), EXCERPTS, ids=[path for path, _ in EXCERPTS])
def test_an_excerpt_stands_in_the_code_word_for_word(path: str, excerpt: str) -> None:
    assert excerpt in (ROOT / path).read_text()


def test_the_value_is_followed_in_six_excerpts() -> None:
    assert len(EXCERPTS) == 6


def test_the_value_arrives_on_the_page_as_the_document_says() -> None:
    at = Instant(0.0, 0.0)
    agent = Agent("s1", Address("http", "10.0.0.1", 4646))
    store = Store([agent], render_agent)
    store.record(agent, poll(Source.SELF, Wire(), lambda: at, 1.0))
    lines = page_of(store.entries(), at, 45.0, Format.TEXT).decode().splitlines()

    assert re.findall(r"```\n(nomad_agent.*?)\n```", ARCHITECTURE)[0] in lines


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())

    assert [link for link in links if not Path(path.parent / link).exists()] == []


def test_the_example_of_a_fleet_is_read_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Config] = []

    def take(plan: Config, _: object) -> int:
        plans.append(plan)
        return 0

    monkeypatch.setattr("nomad_exporter.app.run", take)
    command().main(["--config.file", str(ROOT / "examples/fleet.yml")], standalone_mode=False)

    assert [agent.name for agent in plans[0].agents] == ["server-1", "server-2", "client-1", "lab"]
    assert {agent.tls.server_name for agent in plans[0].agents} == {"server.global.nomad", "client.global.nomad"}
    assert plans[0].agents[3].credentials.token_file is None


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"(--[a-z]+\.[a-z-]+)", README.read_text()))))
def test_every_flag_of_the_readme_exists(flag: str) -> None:
    assert flag in {option for parameter in command().params for option in parameter.opts}
