"""The status page: what a person sees of the agents."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from nomad_exporter import __version__
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret
from nomad_exporter.nomad.failures import FAILURE_REASONS, FailureReason
from nomad_exporter.nomad.models import Check, Health, HealthAnswer, Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnyReading
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.status import status
from tests.support.pages import NOW, failed, fleet, get, health, store_of, told

LEADER = [told(source, "2.0.5/healthy/s2-leader") for source in Source]
SERVER = [told(source, "2.0.5/healthy/s1-follower") for source in (Source.HEALTH, Source.SELF, Source.MEMBERS)]
CLIENT = [told(source, "2.0.5/healthy/c1-client") for source in (Source.HEALTH, Source.SELF)]

AGENT, ROLE, STATE, HEALTH, VERDICTS, AGES = range(6)
"""The columns."""

PAGES = ["metrics", "health", "live", "ready", "quorum"]
"""What is linked of an agent."""


class Table(HTMLParser):
    """The cells of the body of a page's table, as a person sees them, and all tags of the page."""

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


def page_of(store: Store[Rendered], after: float = 0.0) -> Table:
    table = Table()
    table.feed(status(store, get("/"), NOW + after, Thresholds()).body.decode())
    return table


def row(*readings: AnyReading, after: float = 0.0) -> list[str]:
    """The cells of the only agent, ``after`` seconds after the ``readings``."""
    _, cells = page_of(store_of(*readings), after).rows
    return cells


def test_every_agent_has_a_row() -> None:
    _, *rows = page_of(fleet("a1", "a2")).rows

    assert [cells[AGENT].split() for cells in rows] == [
        ["a1", "http://a1.example.org:4646", *PAGES],
        ["a2", "http://a2.example.org:4646", *PAGES],
    ]


def test_a_verdict_that_holds_needs_no_words_and_one_that_does_not_says_why() -> None:
    words = "1 of 3 voters are well, 2 are needed (too little is known of 2: only gossip speaks for it)."

    assert row(*SERVER)[VERDICTS].split() == f"live ready not safe to stop {words}".split()


def test_verdicts_about_an_agent_that_was_never_asked_are_awaited() -> None:
    body = status(fleet("a1"), get("/"), NOW, Thresholds()).body.decode()

    assert re.findall('<span class="wait">not (live|ready|safe to stop)<', body) == ["live", "ready", "safe to stop"]
    assert "The agent has not been asked yet." in body


def test_a_server_shows_its_role_its_version_and_its_health() -> None:
    cells = row(*SERVER, after=3.0)

    assert cells[ROLE].split() == ["server", "Nomad", "2.0.5"]
    assert cells[STATE].strip() == "agent_up"
    assert cells[HEALTH].strip() == "server: ok"


def test_an_agent_of_both_roles_shows_both() -> None:
    cells = row(*(told(source, "2.0.5/single/bacon-mac") for source in (Source.HEALTH, Source.SELF)))

    assert cells[ROLE].split() == ["client,", "server", "Nomad", "2.0.5"]
    assert cells[HEALTH].split() == ["client:", "ok", "server:", "ok"]


def test_a_role_that_is_known_by_health_alone_is_shown_without_a_version() -> None:
    assert row(told(Source.HEALTH, "2.0.5/healthy/c1-client"))[ROLE].split() == ["client"]


@pytest.mark.parametrize(
    ("after", "ages"),
    [
        (1.0, ["health 1s ago", "self 1s ago", "members 1s ago"]),
        (89.6, ["health 1m30s ago", "self 1m30s ago", "members 1m30s ago"]),
    ],
)
def test_an_agent_shows_how_old_its_answers_are(after: float, ages: list[str]) -> None:
    assert re.findall(r"\w+ \w+ ago", row(*SERVER, after=after)[AGES]) == ages


def test_an_agent_that_never_answered_says_so() -> None:
    assert re.findall(r"\w+ never", row(failed(Source.HEALTH))[AGES]) == ["health never", "self never"]


def test_a_client_is_not_said_to_lack_the_members_that_it_is_not_asked_for() -> None:
    assert "members" not in row(*CLIENT)[AGES]


def test_members_that_were_asked_for_in_vain_are_said_to_be_lacking() -> None:
    assert "members never" in row(*SERVER[:2], failed(Source.MEMBERS))[AGES]


def test_a_server_that_is_asked_for_autopilot_shows_how_old_that_answer_is_too() -> None:
    cells = row(*LEADER, after=3.0)

    assert "autopilot 3s ago" in cells[AGES]
    assert cells[STATE].strip() == "agent_up"


def test_a_server_that_is_not_asked_for_autopilot_is_not_said_to_lack_it() -> None:
    assert "autopilot" not in row(*SERVER)[AGES]


def test_autopilot_that_was_asked_for_in_vain_is_said_to_be_lacking_with_what_to_do() -> None:
    cells = row(*LEADER[:3], failed(Source.AUTOPILOT, FailureReason.UNAUTHORIZED, "HTTP 403"))

    assert "autopilot never" in cells[AGES]
    assert "unauthorized: HTTP 403" in cells[STATE]


@pytest.mark.parametrize("readings", [[], [SERVER[0]]], ids=["not-at-all", "by-half"])
def test_an_agent_that_was_not_asked_yet_says_so(readings: list[AnyReading]) -> None:
    assert row(*readings)[STATE].strip() == "not asked yet"


def test_a_failure_is_told_with_what_to_do() -> None:
    state = row(failed(Source.SELF, FailureReason.REFUSED, "connection refused"))[STATE]

    assert "refused: connection refused" in state
    assert FAILURE_REASONS[FailureReason.REFUSED].remedy in state


def test_several_sources_that_fail_for_one_reason_are_told_once() -> None:
    state = row(*(failed(source) for source in Source))[STATE]

    assert state.count("refused: connection refused") == 1


def test_every_reason_to_fail_is_told() -> None:
    state = row(
        failed(Source.HEALTH, FailureReason.TIMEOUT, "late"), failed(Source.SELF, FailureReason.STATUS, "HTTP 500")
    )[STATE]

    assert "timeout: late" in state
    assert "status: HTTP 500" in state


def test_a_red_role_is_told_with_its_reason() -> None:
    red = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")})

    store = store_of(health(Health(plain=red, stale=red)))

    assert (
        '<span class="sick">server: No cluster leader</span>'
        in status(store, get("/"), NOW, Thresholds()).body.decode()
    )


def test_what_an_agent_says_is_never_markup() -> None:
    evil = "<script>alert('\"&')</script>"
    red = HealthAnswer(500, {Role.SERVER: Check(ok=False, message=evil)})
    named = Agent(evil, Address("http", "a1.example.org", 4646))
    store = Store((named,), render_agent)
    store.record(named, health(Health(plain=red, stale=red)))
    store.record(named, failed(Source.SELF, FailureReason.DNS, evil))

    page = page_of(store)

    assert "script" not in [tag for tag, _ in page.tags]
    assert [evil in page.rows[1][column] for column in (AGENT, STATE, HEALTH)] == [True, True, True]


def test_a_page_shows_no_secret() -> None:
    named = Agent("a1", Address("http", "nomad", 4646), Credentials(Secret("hidden-1"), None, Secret("user:hidden-2")))

    assert b"hidden-" not in status(Store((named,), render_agent), get("/"), NOW, Thresholds()).body


def test_a_page_may_load_and_run_nothing() -> None:
    response = status(fleet("a1"), get("/"), NOW, Thresholds())

    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_tells_the_version_and_comes_again_by_itself() -> None:
    body = status(fleet("a1"), get("/"), NOW, Thresholds()).body.decode()

    assert __version__ in body
    assert '<meta http-equiv="refresh" content="15">' in body


def test_a_page_without_agents_is_a_page_all_the_same() -> None:
    assert page_of(fleet()).rows == [[]]


def test_an_answer_of_this_moment_is_no_milliseconds_old() -> None:
    assert "0ms" not in row(*SERVER)[AGES]


@pytest.mark.parametrize("reason", FailureReason)
def test_what_to_do_is_told_without_marks_of_markdown(reason: FailureReason) -> None:
    state = row(failed(Source.SELF, reason, "so"))[STATE]

    assert not re.search(r"`|\]\(", state)


def test_the_health_of_an_agent_that_answers_no_more_is_not_shown_as_well() -> None:
    assert row(*SERVER, failed(Source.HEALTH))[HEALTH].strip() != "server: ok"


def test_the_page_can_be_asked_for_one_agent() -> None:
    body = status(fleet("a1", "a2"), get("/?agent=a2"), NOW, Thresholds()).body

    assert b"<strong>a2</strong>" in body
    assert b"<strong>a1</strong>" not in body
    assert status(fleet("a1"), get("/?agent=a2"), NOW, Thresholds()).status == 404
