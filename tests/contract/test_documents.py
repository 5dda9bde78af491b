"""The documents agree with the code: generated parts, excerpts, links, flags, metrics, queries and examples."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nomad_exporter import cli
from nomad_exporter.clock import Instant
from nomad_exporter.config.model import Config
from nomad_exporter.metrics.family import Format, Lifetime
from nomad_exporter.metrics.render import CATALOGUE, render_agent
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.failures import FAILURE_REASONS, FailureReason
from nomad_exporter.nomad.models import MEMBER_STATUSES
from nomad_exporter.nomad.sources import SELF, Reply
from nomad_exporter.nomad.tls import Certificates
from nomad_exporter.polling.identity import PROOFS
from nomad_exporter.polling.poller import poll
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Event
from nomad_exporter.verdicts.changes import CLUSTER_EVENT, VERDICT_EVENTS
from nomad_exporter.verdicts.reasons import VERDICT_REASONS
from nomad_exporter.verdicts.report import Report, to_dict
from nomad_sim.faults import FAULTS
from tests.support.pages import page_of
from tests.support.real_tools import require_tool
from tools.generate_docs import DOCS, PARTS, regenerate

ROOT = DOCS.parent
DOCUMENTS = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")] + sorted(
    DOCS.glob("*.md")
)
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCUMENTS if path.exists()}
ARCHITECTURE = TEXTS["docs/architecture.md"]
EXCERPTS = re.findall(r"```python (\S+)\n(.*?)```", ARCHITECTURE, re.DOTALL)
README_LINES = 200

each_document = pytest.mark.parametrize("document", TEXTS)


def prose(text: str) -> str:
    """Return ``text`` without code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def blocks(document: str, language: str) -> list[str]:
    """Return the code blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[document], re.DOTALL | re.MULTILINE)


def slugs(text: str) -> Iterator[str]:
    """Yield the anchors of the headings, as GitHub makes them."""
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = seen[slug] = seen.get(slug, -1) + 1
        yield f"{slug}-{number}" if number else slug


def links(text: str) -> list[str]:
    """Return the targets of all links that stay in the repository."""
    without_code = re.sub(r"`[^`\n]+`", "", prose(text))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", without_code) if not re.match(r"[a-z]+:", link)]


def is_valid_link(document: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = ((ROOT / document).parent / path).resolve() if path else ROOT / document
    if not target.exists():
        return False
    return not anchor or anchor in slugs(target.read_text())


@pytest.mark.parametrize("page", PARTS)
def test_generated_parts_are_up_to_date(page: str) -> None:
    text = (DOCS / page).read_text()

    assert regenerate(page, text) == text, "run make docs"


@each_document
def test_links_and_anchors_exist(document: str) -> None:
    assert [link for link in links(TEXTS[document]) if not is_valid_link(document, link)] == []


def test_slugs_follow_github() -> None:
    text = "# A `code`, and: [more](x.md)\n```\n# no heading\n```\n## `poll_error`\n## Twice\n## Twice\n"

    assert list(slugs(text)) == ["a-code-and-more", "poll_error", "twice", "twice-1"]


def test_broken_anchor_is_found() -> None:
    assert is_valid_link("docs/health.md", "troubleshooting.md#unresponsive")
    assert not is_valid_link("docs/health.md", "troubleshooting.md#not-a-heading")
    assert not is_valid_link("docs/health.md", "no-such-page.md")


def test_every_reason_has_an_anchor() -> None:
    assert {*FAILURE_REASONS, *VERDICT_REASONS} <= set(slugs(TEXTS["docs/troubleshooting.md"]))


def test_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= README_LINES


@each_document
def test_settings_exist(document: str) -> None:
    flags = set(re.findall(r"--[a-z]++\.[a-z]+(?:-[a-z]+)*", TEXTS[document]))

    assert flags <= options(), "no such flag"


@pytest.mark.parametrize("name", ["check", "demo"])
def test_options_of_commands_exist(name: str) -> None:
    flags = set(re.findall(r"(?<![\w-])--[a-z]+(?:[.-][a-z]+)*", TEXTS[f"docs/{name}.md"]))

    assert flags <= options()


def options() -> set[str]:
    """Return the options of all commands."""
    commands = [cli.command(), *(lazy.load() for lazy in cli.COMMANDS.values())]
    return {option for command in commands for parameter in command.params for option in parameter.opts}


@each_document
def test_metrics_exist(document: str) -> None:
    own = re.findall(r"^# TYPE (\S+)", SelfMetrics().page(Format.TEXT).decode(), re.MULTILINE)
    known = {family.name for table in CATALOGUE for family in table} | set(own)
    named = set(re.findall(r"\bnomad_(?:agent|cluster|exporter)_[a-z0-9_]+", TEXTS[document]))
    prefixes = {name for name in named if name.endswith("_")}

    assert named - prefixes <= known
    assert {prefix for prefix in prefixes if not any(name.startswith(prefix) for name in known)} == set()


def test_claims_of_the_moment_are_documented() -> None:
    [row] = [line for line in TEXTS["docs/metrics.md"].splitlines() if line.startswith("| claims of the moment")]
    prefixes = tuple(name.removesuffix("…") for name in re.findall(r"`(nomad_[a-z_]+…?)`", row))
    claims = {
        family.name for table in CATALOGUE for family in table if family.lifetime in (Lifetime.MOMENT, Lifetime.TERM)
    }

    assert {name for name in claims if not name.startswith(prefixes)} == set()
    assert {prefix for prefix in prefixes if not any(name.startswith(prefix) for name in claims)} == set()


def test_what_each_poll_failure_proves_is_documented() -> None:
    section = TEXTS["docs/architecture.md"].partition("## Evidence")[2].partition("\n## ")[0]

    assert {reason for reason in FailureReason if f"`{reason}`" not in section} == set()


class Wire:
    """An agent whose stats are those of the document."""

    certificates = Certificates()

    def get(self, path: str, seconds: float, body_limit: int) -> Reply:
        [raft] = blocks("docs/architecture.md", "json")
        return Reply(200, f'{{"stats": {{"nomad": {{}}, {raft}}}}}'.encode())


@pytest.mark.parametrize(("path", "excerpt"), EXCERPTS, ids=[path for path, _ in EXCERPTS])
def test_excerpt_is_in_the_code(path: str, excerpt: str) -> None:
    assert excerpt in (ROOT / path).read_text()


def test_value_is_followed_in_six_excerpts() -> None:
    assert len(EXCERPTS) == 6


def test_value_arrives_on_the_page() -> None:
    at = Instant(0.0, 0.0)
    agent = Agent("s1", Address("http", "10.0.0.1", 4646))
    store = Store([agent], render_agent)
    store.record(agent, poll(SELF, Wire(), lambda: at, 1.0))
    lines = page_of(store.entries(), at, 45.0, Format.TEXT).decode().splitlines()

    assert re.findall(r"```\n(nomad_agent.*?)\n```", ARCHITECTURE)[0] in lines


def test_modules_of_the_architecture_exist() -> None:
    modules = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", ARCHITECTURE))

    assert len(modules) > 10
    assert {
        name for name in modules if not any((ROOT / base / name).exists() for base in (".", "nomad_exporter"))
    } == set()


def test_verdict_example_is_real() -> None:
    [example] = map(json.loads, blocks("docs/health.md", "json"))
    reason = next(reason for reason in VERDICT_REASONS if reason == example["reason"])
    report = Report(example["agent"], example["ok"], reason, example["message"], example["details"], example["ages"])

    assert example == {"verdict": "quorum", **to_dict(report)}


def test_faults_are_documented() -> None:
    table = TEXTS["docs/demo.md"].partition("## Faults")[2].partition("## Incidents")[0]

    assert set(FAULTS) == set(re.findall(r"`([a-z][a-z-]*)`", table))


def test_restart_proofs_are_documented() -> None:
    section = TEXTS["docs/metrics.md"].partition("### Restart proofs")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == ["refused", *PROOFS]


def test_log_events_are_documented() -> None:
    table = TEXTS["docs/metrics.md"].partition("| `event` |")[2].partition("\n\n")[0]
    events = {event for row in table.splitlines() for event in re.findall(r"`(\w+[a-z])`", row.split("|")[1])}

    verdict_events = {event for event, _ in VERDICT_EVENTS.values()}
    assert events | {f"member_{status}" for status in MEMBER_STATUSES} == {*Event, *verdict_events, CLUSTER_EVENT}


def check_rules(rules: str, folder: Path) -> None:
    file = folder / "rules.yml"
    file.write_text(rules)
    subprocess.run([require_tool("promtool"), "check", "rules", file], check=True, capture_output=True)


def test_alerts_are_valid(tmp_path: Path) -> None:
    for rules in blocks("docs/queries.md", "yaml"):
        check_rules(rules, tmp_path)


def test_queries_are_valid(tmp_path: Path) -> None:
    rules = [{"record": "query", "expr": query} for query in blocks("docs/queries.md", "promql")]

    assert len(rules) > 5
    check_rules(json.dumps({"groups": [{"name": str(i), "rules": [rule]} for i, rule in enumerate(rules)]}), tmp_path)


def test_example_fleet_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[Config] = []

    def run(config: Config, _: object) -> int:
        configs.append(config)
        return 0

    monkeypatch.setattr("nomad_exporter.app.run", run)
    cli.command().main(["--config.file", str(ROOT / "examples/fleet.yml")], standalone_mode=False)

    assert [agent.name for agent in configs[0].agents] == ["server-1", "server-2", "client-1", "lab"]
    assert {agent.tls.server_name for agent in configs[0].agents} == {"server.global.nomad", "client.global.nomad"}
    assert configs[0].agents[3].credentials.token_file is None
