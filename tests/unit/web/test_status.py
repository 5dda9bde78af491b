"""The status page: the texts of each cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest

from nomad_exporter import __version__
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret
from nomad_exporter.nomad.failures import FAILURE_REASONS, FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES
from nomad_exporter.polling.snapshot import Reading
from nomad_exporter.polling.store import Store
from nomad_exporter.server.http import Response
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.verdict import Verdict
from nomad_exporter.web.site import evaluate_agents
from tests.support.pages import NOW, failed, fleet, get, handle, health, recorded, site_of, store_of

LEADER = [recorded(source, "2.0.5/healthy/s2-leader") for source in SOURCES]
SERVER = [recorded(source, "2.0.5/healthy/s1-follower") for source in (HEALTH, SELF, MEMBERS)]
CLIENT = [recorded(source, "2.0.5/healthy/c1-client") for source in (HEALTH, SELF)]

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

AGENT, ROLE, STATUS, HEALTH_CELL, VERDICTS, AGES = range(6)
"""The columns of the table."""

PAGES = ["metrics", "health", "live", "ready", "quorum"]
"""The links of an agent."""


class Table(HTMLParser):
    """A parser for the texts in the cells of a page's table, and for all tags of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] += " "

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def status(store: Store[Rendered], target: str = "/", after: float = 0.0) -> Response:
    """Return the status page with the links of the routing table."""
    return handle(site_of(store), get(target, accept=BROWSER), NOW + after)


def page_of(store: Store[Rendered], after: float = 0.0) -> Table:
    table = Table()
    table.feed(status(store, after=after).body.decode())
    return table


def row(*readings: Reading[Any], after: float = 0.0) -> list[str]:
    """Return the cells of the only agent, ``after`` seconds after the ``readings``."""
    _, cells = page_of(store_of(*readings), after).rows
    return cells


def verdicts(store: Store[Rendered]) -> Mapping[Question, Verdict]:
    """Return the verdicts about the only agent of the store."""
    [evaluation] = evaluate_agents(site_of(store), store.entries(), NOW)
    return evaluation.verdicts


def test_every_agent_has_a_row() -> None:
    _, *rows = page_of(fleet("a1", "a2")).rows

    assert [cells[AGENT].split() for cells in rows] == [
        ["a1", "http://a1.example.org:4646", *PAGES],
        ["a2", "http://a2.example.org:4646", *PAGES],
    ]


def test_every_polled_cluster_has_a_line() -> None:
    line = "<p>Cluster <strong>default/global</strong>: "

    assert f'{line}<span class="bad">unknown</span> ' in status(store_of(*SERVER)).body.decode()
    assert line not in status(store_of(*SERVER), "/?agent=a1").body.decode()
    assert "<p>Cluster" not in status(fleet("a1")).body.decode()


def test_only_failing_verdicts_have_message_and_remedy() -> None:
    quorum = verdicts(store_of(*SERVER))[Question.QUORUM]

    assert quorum.reason is VerdictReason.INSUFFICIENT_EVIDENCE
    assert row(*SERVER)[VERDICTS].split() == (
        f"live ready not safe to stop: {quorum.reason} {quorum.message} {quorum.remedy}".split()
    )


def test_verdicts_of_an_unpolled_agent_are_unknown() -> None:
    body = status(fleet("a1")).body.decode()

    for label in ("live", "not ready: starting", "not safe to stop: starting"):
        assert f'<span class="muted">{label}</span>' in body
    for question in (Question.READY, Question.QUORUM):
        assert f"{escape(verdicts(fleet('a1'))[question].message)} " in body


def test_remedy_of_several_verdicts_is_listed_once() -> None:
    cell = row(*SERVER, *[failed(HEALTH)] * 3)[VERDICTS]

    assert (cell.count("unresponsive"), cell.count(VERDICT_REASONS[VerdictReason.UNRESPONSIVE].remedy)) == (2, 1)


def test_row_has_role_version_and_health() -> None:
    cells = row(*SERVER, after=3.0)

    assert cells[ROLE].split() == ["server", "Nomad", "2.0.5"]
    assert cells[STATUS].strip() == "responding"
    assert cells[HEALTH_CELL].strip() == "server: ok"


def test_agent_of_both_roles_has_both() -> None:
    cells = row(*(recorded(source, "2.0.5/single/bacon-mac") for source in (HEALTH, SELF)))

    assert cells[ROLE].split() == ["client,", "server", "Nomad", "2.0.5"]
    assert cells[HEALTH_CELL].split() == ["client:", "ok", "server:", "ok"]


def test_role_known_from_health_has_no_version() -> None:
    assert row(recorded(HEALTH, "2.0.5/healthy/c1-client"))[ROLE].split() == ["client"]


@pytest.mark.parametrize(
    ("after", "ages"),
    [
        (1.0, ["health 1s ago", "self 1s ago", "members 1s ago"]),
        (89.6, ["health 1m30s ago", "self 1m30s ago", "members 1m30s ago"]),
    ],
)
def test_row_has_the_ages_of_the_answers(after: float, ages: list[str]) -> None:
    assert re.findall(r"\w+ \w+ ago", row(*SERVER, after=after)[AGES]) == ages


def test_missing_answers_are_never() -> None:
    assert re.findall(r"\w+ never", row(failed(HEALTH))[AGES]) == ["health never", "self never"]


def test_client_row_has_no_members() -> None:
    assert "members" not in row(*CLIENT)[AGES]


def test_failed_members_are_never() -> None:
    assert "members never" in row(*SERVER[:2], failed(MEMBERS))[AGES]


def test_polled_autopilot_has_its_age() -> None:
    cells = row(*LEADER, after=3.0)

    assert "autopilot 3s ago" in cells[AGES]
    assert cells[STATUS].strip() == "responding"


def test_unpolled_autopilot_is_not_mentioned() -> None:
    assert "autopilot" not in row(*SERVER)[AGES]


def test_failed_autopilot_is_never_with_its_failure() -> None:
    cells = row(*LEADER[:3], failed(AUTOPILOT, FailureReason.UNAUTHORIZED, "HTTP 403"))

    assert "autopilot never" in cells[AGES]
    assert "unauthorized: HTTP 403" in cells[STATUS]


@pytest.mark.parametrize("readings", [[], [SERVER[0]]], ids=["never-polled", "one-source-polled"])
def test_unpolled_agent_is_not_polled_yet(readings: list[Reading[Any]]) -> None:
    assert row(*readings)[STATUS].strip() == "not polled yet"


def test_failure_has_its_remedy() -> None:
    cell = row(failed(SELF, FailureReason.REFUSED, "connection refused"))[STATUS]

    assert "refused: connection refused" in cell
    assert FAILURE_REASONS[FailureReason.REFUSED].remedy in cell


def test_equal_failures_of_several_sources_are_listed_once() -> None:
    cell = row(*(failed(source) for source in SOURCES))[STATUS]

    assert cell.count("refused: connection refused") == 1


def test_different_failures_are_all_listed() -> None:
    cell = row(failed(HEALTH, FailureReason.TIMEOUT, "late"), failed(SELF, FailureReason.STATUS, "HTTP 500"))[STATUS]

    assert "timeout: late" in cell
    assert "status: HTTP 500" in cell


def test_unhealthy_role_has_its_message() -> None:
    unhealthy = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")})

    store = store_of(health(Health(plain=unhealthy, stale=unhealthy)))

    assert '<span class="bad">server: No cluster leader</span>' in status(store).body.decode()


def test_texts_of_agents_are_escaped() -> None:
    markup = "<script>alert('\"&')</script>"
    unhealthy = HealthAnswer(500, {Role.SERVER: Check(ok=False, message=markup)})
    named = Agent(markup, Address("http", "a1.example.org", 4646))
    store = Store((named,), render_agent)
    store.record(named, health(Health(plain=unhealthy, stale=unhealthy)))
    store.record(named, failed(SELF, FailureReason.DNS, markup))

    page = page_of(store)

    assert "script" not in [tag for tag, _ in page.tags]
    assert [markup in page.rows[1][column] for column in (AGENT, STATUS, HEALTH_CELL)] == [True, True, True]


def test_page_has_no_secrets() -> None:
    named = Agent("a1", Address("http", "nomad", 4646), Credentials(Secret("hidden-1"), None, Secret("user:hidden-2")))

    assert b"hidden-" not in status(Store((named,), render_agent)).body


def test_page_forbids_scripts_and_external_content() -> None:
    response = status(fleet("a1"))

    assert response.media_type == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_page_has_the_version_and_refreshes() -> None:
    body = status(fleet("a1")).body.decode()

    assert __version__ in body
    assert '<meta http-equiv="refresh" content="15">' in body


def test_page_without_agents_has_no_rows() -> None:
    assert page_of(fleet()).rows == [[]]


def test_current_answer_has_no_age_in_milliseconds() -> None:
    assert "0ms" not in row(*SERVER)[AGES]


@pytest.mark.parametrize("reason", FailureReason)
def test_remedy_of_a_failure_is_plain_text(reason: FailureReason) -> None:
    cell = row(failed(SELF, reason, "so"))[STATUS]

    assert not re.search(r"`|\]\(", cell)


def test_health_is_outdated_after_a_failed_poll() -> None:
    assert row(*SERVER, failed(HEALTH))[HEALTH_CELL].strip() == "server: ok (outdated)"


def test_page_can_be_limited_to_one_agent() -> None:
    body = status(fleet("a1", "a2"), "/?agent=a2").body

    assert b"<strong>a2</strong>" in body
    assert b"<strong>a1</strong>" not in body
    assert status(fleet("a1"), "/?agent=a2").status_code == 404


def coloured(style: str) -> set[str]:
    """Return the selectors whose text has a colour."""
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    return {
        selector.strip()
        for selectors, block in rules
        if re.search(r"(^|[; ])color:", block)
        for selector in selectors.split(",")
    }


def test_dark_page_has_a_colour_for_each_text() -> None:
    style = re.search(r"<style>(.*)</style>", status(fleet("a1")).body.decode(), re.DOTALL)
    assert style
    light, _, dark = style[1].partition("@media (prefers-color-scheme: dark) {")

    assert coloured(light) == coloured(dark) != set()
