"""A watch over an incident as it is played: what its story says must be seen, and what must hold at every moment.

Waiting is counted in polls, as the exporter counts them itself, so a slow machine takes longer and fails nothing.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from urllib3 import HTTPConnectionPool

from nomad_sim.faults import FAULTS
from nomad_sim.incidents.scenario import SERVERS, Action, Expectation, Incident, Match, Role, SampleExpectation, Step
from tests.support.demo import Demo
from tests.support.exporter import run
from tests.support.scraping import QUESTIONS, Page, Scrape, Verdict, page, scrape

PACE = 10
"""Of the demo."""

INTERVAL = 0.4
"""Seconds between two polls of its exporter. It gives up after 0.8 of them, and all else that runs slows it down."""

SCRAPE_PAUSE = 0.1
"""Seconds between two looks."""

HOME_REGION = "global"
"""The region where there is only one; with several, each server's name ends with its own."""

SLACK = 3
"""Polls that an expectation may take longer: one is under way when the deed is done, one begins, one is told."""

STEP_TIMEOUT = 120.0
"""After so many seconds a step is given up, where the polls do not go on either."""

STOPPING_FAULTS = frozenset({"kill", "pause", "leave", "remove"})
STARTING_FAULTS = frozenset({"start", "resume"})

SOURCES = ("health", "self")

OK_REASONS = frozenset({"ok", "not_a_voter"})
"""The reasons of a verdict whose status is 200, of those that incidents expect."""

FAILURE_THRESHOLD = 3
"""Consecutive failed polls before an agent is not live; the exporter's default."""

CHECK_SECONDS = "3s"
"""So long the command waits for an agent that is silent."""

_LAST_SUCCESS = "nomad_exporter_poll_last_success_timestamp_seconds"


@dataclass(frozen=True)
class PendingExpectation:
    """What is awaited, since when, and whether it is there; once it was, it may be missed for some polls only."""

    expectation: Expectation
    since: Page
    seen: bool = False
    grace: float = math.inf

    def after(self, scrape: Scrape, missing: bool) -> PendingExpectation:
        if self.seen and self.expectation.transient:
            return self
        return (
            replace(self, seen=False)
            if missing
            else PendingExpectation(self.expectation, scrape.after, seen=True, grace=0)
        )


@dataclass
class IncidentCheck:
    """An incident as it is played, and what was seen of it so far.

    ``touched`` are the agents to which something was done since all was ``calm``, ``down`` those that were ended and
    not begun again; ``living`` those that must live, for they run and were seen to. ``failures`` are those of the
    polls of each agent's health, as they were when it told it last.
    """

    demo: Demo
    incident: Incident
    pool: HTTPConnectionPool
    first_page: Page
    agents: dict[Role, str] = field(default_factory=dict)
    members: dict[Role, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    living: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    calm: bool = True
    failures: dict[str, float] = field(default_factory=dict)
    phases: set[str] = field(default_factory=set)
    pause: threading.Event = field(default_factory=threading.Event)

    def run_step(self, number: int, step: Step) -> None:
        """Plays the step; returns when all that it leads one to expect was seen."""
        response = self.demo.play(f"{self.incident.name}/{number}")
        assert response.status_code == 200, response.text
        self.learn_roles(self.demo.roles())
        self.record_faults(step)
        pending = [PendingExpectation(expectation, page(self.pool)) for expectation in step.expectations]
        end = time.monotonic() + STEP_TIMEOUT
        while not all(each.seen for each in pending):
            scraped = self.scrape()
            pending = [each.after(scraped, any(self.missing(each.expectation, scraped))) for each in pending]
            for each in pending:
                late = not each.seen and (self.is_late(each, scraped.before) or time.monotonic() > end)
                assert not late, f"step {number}: {'; '.join(self.missing(each.expectation, scraped))}"
        self.check(list(QUESTIONS)[number % len(QUESTIONS)], self.scrape())

    def learn_roles(self, role_map: dict[str, str]) -> None:
        """Learns who plays which role. Where there is one region, the exporter calls agents by their bare names."""
        for role, name in role_map.items():
            bare = name if self.incident.requirements.regions > 1 else name.partition(".")[0]
            self.agents[Role(role)], self.members[Role(role)] = bare, name

    def record_faults(self, step: Step) -> None:
        """Minds what was done: an agent that was ended need not live; one that was begun must, once it was seen to."""
        actions = [deed for deed in step.actions if isinstance(deed, Action)]
        done = {
            what: {self.agents[role] for deed in actions if deed.fault == what for role in deed.roles}
            for what in FAULTS
        }
        touched = set().union(*done.values())
        self.touched = touched if self.calm else self.touched | touched
        self.down |= set().union(*(done[what] for what in STOPPING_FAULTS))
        self.down -= set().union(*(done[what] for what in STARTING_FAULTS))
        self.living -= touched

    def scrape(self) -> Scrape:
        """A look, and what must hold at every one."""
        self.pause.wait(SCRAPE_PAUSE)
        scraped = scrape(self.pool)
        self.check_liveness(scraped)
        self.check_failure_threshold(scraped)
        if scraped.seconds < INTERVAL:  # In more, a verdict can change and change again.
            self.check_metrics(scraped)
            self.check_safety(scraped)
        return scraped

    def check(self, question: str, before: Scrape) -> None:
        """The command, which asks the agents itself, answers a question as the exporter does."""
        file = self.demo.config_file
        response = run("check", "--config.file", file, "--timeout", CHECK_SECONDS, "--json", question)
        after = self.scrape()
        findings = json.loads(response.stdout)["agents"]
        assert (response.returncode == 0) is all(finding["ok"] for finding in findings)
        for finding in findings:
            agent = finding["agent"]
            verdicts = [scrape.verdicts[agent, question] for scrape in (before, after)]
            if question != "quorum":
                assert finding["reason"] in {verdict.reason for verdict in verdicts}, f"{finding}, but {verdicts}"
            elif before.after.value("nomad_agent_up", agent=agent) == 1:  # Of others, the exporter has memories alone.
                assert finding["ok"] in {verdict.status == 200 for verdict in verdicts}, f"{finding}, but {verdicts}"

    def check_metrics(self, scraped: Scrape) -> None:
        """Each path says what its metric says, before it or after."""
        for (agent, question), verdict in scraped.verdicts.items():
            response = {each.value(QUESTIONS[question], agent=agent) for each in scraped.pages}
            assert float(verdict.status == 200) in response, (
                f"{agent}: {question} is {verdict}, but the metric {response}"
            )

    def check_liveness(self, scraped: Scrape) -> None:
        """No agent that runs is ever not live, once it was seen alive."""
        for agent in set(scraped.agents) - self.down:
            if scraped.verdicts[agent, "live"].status == 200:
                self.living.add(agent)
            assert agent not in self.living or scraped.verdicts[agent, "live"].status == 200, f"{agent} runs"

    def check_failure_threshold(self, scraped: Scrape) -> None:
        """An agent that is silent is borne for some attempts before it is called dead."""
        for agent in scraped.agents:
            if scraped.verdicts[agent, "live"].reason == "unresponsive" and agent in self.failures:
                failures = health_failures(scraped.after, agent) - self.failures[agent]
                assert failures >= FAILURE_THRESHOLD, f"{agent} is called dead after {failures} attempts"
            if not scraped.before.values("nomad_exporter_poll_failing", agent=agent, source="health"):
                self.failures[agent] = health_failures(scraped.before, agent)

    def check_safety(self, scraped: Scrape) -> None:
        """No server may be stopped while another one is away or no voter; where it is strict, any may in the calm."""
        servers = [self.agents[role] for role in SERVERS if self.agents[role] in scraped.agents]
        safe = {agent for agent in servers if scraped.verdicts[agent, "quorum"].status == 200}
        self.calm = all(is_calm(each, servers) for each in scraped.pages)
        if self.incident.strict and self.calm and is_fresh(scraped, servers):
            self.phases.add("calm")
            assert safe == set(servers), "all is calm"
        degraded = {agent for agent in servers if all(is_degraded(each, agent, servers) for each in scraped.pages)}
        if degraded - self.touched:
            self.phases.add("uneasy")
            assert not safe & degraded - self.touched, f"{safe} may be stopped, though not all others are there"

    def missing(self, expectation: Expectation, scraped: Scrape) -> Iterator[str]:
        """What is not as expected, in words."""
        for role in expectation.roles:
            agent = self.agents[role]
            for question, reason in expectation.reasons.items():
                wanted = Verdict(200 if reason in OK_REASONS else 503, reason)
                response = scraped.verdicts.get((agent, question))
                if response != wanted:
                    yield f"{agent}: {question} is {response} and not {wanted}"
            for sample in expectation.samples:
                if not any(self.is_matched(sample, agent, each) for each in scraped.pages):
                    yield f"{agent}: not {sample} but {self.found(sample, agent, scraped.after)}"

    def is_matched(self, sample: SampleExpectation, agent: str, page: Page) -> bool:
        found = self.found(sample, agent, page)
        if sample.match is Match.ABSENT:
            return not found
        if sample.match is Match.IS:
            return sample.value in found
        return sum(found) - sum(self.found(sample, agent, self.first_page)) >= sample.value

    def found(self, sample: SampleExpectation, agent: str, page: Page) -> list[float]:
        actors = {role.value: _RoleName(name) for role, name in self.members.items()}
        labels = {name: value.format(**actors) for name, value in sample.labels.items()}
        return page.values(sample.name, agent=agent, **labels)

    def is_late(self, pending: PendingExpectation, now: Page) -> bool:
        """Whether every agent was polled so often, for either source, that it should have been seen.

        The polls of one that is not watched yet are those of the agent that was polled most.
        """
        expectation = pending.expectation
        allowed = expectation.within_polls + SLACK + math.ceil(min(expectation.after, pending.grace) / PACE / INTERVAL)
        polls = {
            agent: [polls_between(pending.since, now, agent, source) for source in SOURCES] for agent in now.agents
        }
        made = {agent: min(counts) for agent, counts in polls.items()}
        most = max(made.values())
        return all(made.get(self.agents[role], most) > allowed for role in expectation.roles)


@dataclass(frozen=True)
class _RoleName:
    """What a story may say of an agent in the labels of a metric."""

    member: str


def polls_between(since: Page, now: Page, agent: str, source: str) -> float:
    """The polls of an agent between two pages."""
    name = "nomad_exporter_polls_total"
    return sum(now.values(name, agent=agent, source=source)) - sum(since.values(name, agent=agent, source=source))


def health_failures(page: Page, agent: str) -> float:
    """The polls of an agent's health that failed."""
    return sum(page.values("nomad_exporter_poll_failures_total", agent=agent, source="health"))


def is_calm(page: Page, servers: Sequence[str]) -> bool:
    """Whether all that the exporter knows of the servers is good: they are well, alive in gossip, and vote."""
    return not page.values("nomad_agent_leader_reachable").count(0) and all(
        not page.values("nomad_exporter_poll_failing", agent=agent) and votes_and_members(page, agent) == ([3], [3])
        for agent in servers
    )


def is_degraded(page: Page, agent: str, servers: Sequence[str]) -> bool:
    """Whether another one of the servers is away, by its health, or one is no voter for the one that leads."""
    others = [other for other in servers if other != agent]
    away = any(page.values("nomad_exporter_poll_failing", agent=other, source="health") for other in others)
    leading = [server for server in servers if page.value("nomad_agent_leader", agent=server)]
    return away or (len(leading) == 1 and votes_and_members(page, leading[0]) != ([3], [3]))


def votes_and_members(page: Page, agent: str) -> tuple[list[float], list[float]]:
    """The voters and the living members of its region that the server knows."""
    region = agent.rpartition(".")[2] if "." in agent else HOME_REGION
    votes = page.values("nomad_agent_raft_servers", agent=agent, suffrage="Voter")
    return votes, page.values("nomad_agent_members", agent=agent, nomad_region=region, status="alive")


def is_fresh(scraped: Scrape, servers: Sequence[str]) -> bool:
    """Whether the exporter has come to ask about health so lately that the answers still prove something."""
    asked = [scraped.before.value(_LAST_SUCCESS, agent=agent, source="health") or 0.0 for agent in servers]
    return scraped.ended - min(asked) < 2 * INTERVAL
