"""Checks of the exporter during an incident: the expectations of each step, and invariants of every scrape.

Timeouts are counted in the exporter's own polls, and only scrapes count at which the simulator responded in time. So a
busy machine needs more time but causes no failure.
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
"""The pace of the demo."""

INTERVAL = 0.4
"""The exporter's poll interval in seconds; its timeout is 80 % of this, which a busy machine may exceed."""

RESPONSE_SECONDS = 0.1
"""The longest response time of a simulator that is not disturbed by a busy machine; usually a few milliseconds."""

SETTLED_POLLS = 2
"""Polls of an agent after a disturbance until the exporter's state is valid: one that was in progress, and the next."""

SCRAPE_PAUSE = 0.1
"""Seconds between two scrapes."""

HOME_REGION = "global"
"""The name of a single region; with several regions, the name of a server ends with its region."""

SLACK = 3
"""Additional polls for an expectation: one in progress at the fault, one that starts, one that is rendered."""

STEP_TIMEOUT = 120.0
"""Timeout for a step in seconds, even if no polls are made or no scrape counts."""

STOPPING_FAULTS = frozenset({"kill", "pause", "leave", "remove"})
STARTING_FAULTS = frozenset({"start", "resume"})

SOURCES = ("health", "self")

OK_REASONS = frozenset({"ok", "not_a_voter"})
"""The expected reasons of verdicts with status 200."""

FAILURE_THRESHOLD = 3
"""Consecutive failed polls before an agent is considered not live, the exporter's default."""

CHECK_SECONDS = "3s"
"""The timeout of the command ``check``."""

_LAST_SUCCESS = "nomad_exporter_poll_last_success_timestamp_seconds"


@dataclass(frozen=True)
class PendingExpectation:
    """An expectation, the scrape since which it is awaited, and whether it is met.

    An expectation that was met may be missed for ``grace`` seconds only.
    """

    expectation: Expectation
    since: Page
    met: bool = False
    grace: float = math.inf

    def after(self, scrape: Scrape, missing: bool) -> PendingExpectation:
        if self.met and self.expectation.transient:
            return self
        return (
            replace(self, met=False)
            if missing
            else PendingExpectation(self.expectation, scrape.after, met=True, grace=0)
        )


@dataclass
class IncidentCheck:
    """The state of a running incident, and its checks.

    ``touched`` are the agents with faults since the cluster was ``calm``. ``down`` are the agents that do not respond
    because of a fault. ``live`` are the agents that must stay live, because they run and were live. ``failures`` are
    the failed health polls of each agent at its last successful one. ``disturbed`` is the last scrape at which the
    simulator or the exporter responded too late.
    """

    demo: Demo
    incident: Incident
    pool: HTTPConnectionPool
    first_page: Page
    disturbed: Page | None = None
    agents: dict[Role, str] = field(default_factory=dict)
    members: dict[Role, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    calm: bool = True
    failures: dict[str, float] = field(default_factory=dict)
    phases: set[str] = field(default_factory=set)
    pause: threading.Event = field(default_factory=threading.Event)

    def run_step(self, number: int, step: Step) -> None:
        """Run a step; return when all of its expectations are met."""
        response = self.demo.run_incident(f"{self.incident.name}/{number}")
        assert response.status_code == 200, response.text
        self.record_roles(self.demo.roles())
        self.record_faults(step)
        pending = [PendingExpectation(expectation, page(self.pool)) for expectation in step.expectations]
        end = time.monotonic() + STEP_TIMEOUT
        is_complete = False
        while not is_complete:
            scraped = self.scrape()
            pending = [self.updated(each, scraped) for each in pending]
            for each in pending:
                late = not each.met and (self.is_late(each, scraped.before) or time.monotonic() > end)
                assert not late, f"step {number}: {'; '.join(self.missing(each.expectation, scraped))}"
            is_complete = all(each.met for each in pending) and (self.counts(scraped) or time.monotonic() > end)
        self.check(list(QUESTIONS)[number % len(QUESTIONS)], self.scrape())

    def updated(self, pending: PendingExpectation, scraped: Scrape) -> PendingExpectation:
        """Return the expectation after a scrape; after one that does not count, it is awaited from the start."""
        after = pending.after(scraped, any(self.missing(pending.expectation, scraped)))
        if after.met or self.counts(scraped):
            return after
        # The exporter may have missed a transient state while the machine was busy.
        return replace(after, since=scraped.after, met=after.expectation.transient)

    def record_roles(self, role_map: dict[str, str]) -> None:
        """Record the roles. With one region, the exporter's names are without the region."""
        for role, name in role_map.items():
            bare = name if self.incident.requirements.regions > 1 else name.partition(".")[0]
            self.agents[Role(role)], self.members[Role(role)] = bare, name

    def record_faults(self, step: Step) -> None:
        """Record the faults of a step: a stopped agent need not be live, a started one must be once it was."""
        actions = [action for action in step.actions if isinstance(action, Action)]
        targets = {
            fault: {self.agents[role] for action in actions if action.fault == fault for role in action.roles}
            for fault in FAULTS
        }
        touched = set().union(*targets.values())
        self.touched = touched if self.calm else self.touched | touched
        self.down |= set().union(*(targets[fault] for fault in STOPPING_FAULTS))
        self.down -= set().union(*(targets[fault] for fault in STARTING_FAULTS))
        self.live -= touched

    def scrape(self) -> Scrape:
        """Scrape the exporter and check the invariants."""
        self.pause.wait(SCRAPE_PAUSE)
        response_seconds = self.demo.response_seconds()
        scraped = scrape(self.pool)
        if response_seconds > RESPONSE_SECONDS or scraped.seconds > INTERVAL:
            self.disturbed = scraped.after
        self.check_failure_threshold(scraped)
        self.check_clusters(scraped)
        if self.counts(scraped):
            self.check_liveness(scraped)
            self.check_metrics(scraped)
            self.check_safety(scraped)
        return scraped

    def counts(self, scraped: Scrape) -> bool:
        """Return whether all running agents were polled often enough since the last disturbance."""
        running = set(scraped.agents) - self.down
        return self.disturbed is None or all(
            polls_between(self.disturbed, scraped.before, agent, source) >= SETTLED_POLLS
            for agent in running
            for source in SOURCES
        )

    def check(self, question: str, before: Scrape) -> None:
        """Check that the command ``check``, which polls the agents itself, agrees with the exporter."""
        file = self.demo.config_file
        response = run("check", "--config.file", file, "--timeout", CHECK_SECONDS, "--json", question)
        after = self.scrape()
        findings = json.loads(response.stdout)["agents"]
        assert (response.returncode == 0) is all(finding["ok"] for finding in findings)
        for finding in findings if self.counts(before) else ():
            agent = finding["agent"]
            verdicts = [scrape.verdicts[agent, question] for scrape in (before, after)]
            if question != "quorum":
                assert finding["reason"] in {verdict.reason for verdict in verdicts}, f"{finding}, but {verdicts}"
            elif before.after.value("nomad_agent_up", agent=agent) == 1:  # For others, the exporter has only old data.
                assert finding["ok"] in {verdict.status == 200 for verdict in verdicts}, f"{finding}, but {verdicts}"

    def check_metrics(self, scraped: Scrape) -> None:
        """Check that each verdict agrees with its metric, before or after the request."""
        for (agent, question), verdict in scraped.verdicts.items():
            values = {each.value(QUESTIONS[question], agent=agent) for each in scraped.pages}
            assert float(verdict.status == 200) in values, f"{agent}: {question} is {verdict}, but the metric {values}"

    def check_liveness(self, scraped: Scrape) -> None:
        """Check that a running agent that was live stays live."""
        for agent in set(scraped.agents) - self.down:
            if scraped.verdicts[agent, "live"].status == 200:
                self.live.add(agent)
            assert agent not in self.live or scraped.verdicts[agent, "live"].status == 200, f"{agent} is not live"

    def check_failure_threshold(self, scraped: Scrape) -> None:
        """Check that an agent is considered not live only after the threshold of failed polls."""
        for agent in scraped.agents:
            if scraped.verdicts[agent, "live"].reason == "unresponsive" and agent in self.failures:
                failures = health_failures(scraped.after, agent) - self.failures[agent]
                assert failures >= FAILURE_THRESHOLD, f"{agent} is not live after {failures} failed polls"
            if not scraped.before.values("nomad_exporter_poll_failing", agent=agent, source="health"):
                self.failures[agent] = health_failures(scraped.before, agent)

    def check_clusters(self, scraped: Scrape) -> None:
        """Check that each cluster always has one state, that its servers never conflict, and that one leads at most."""
        for each in scraped.pages:
            assert sum(each.values("nomad_agent_leader")) <= self.incident.requirements.regions
            assert sum(each.values("nomad_cluster_state")) >= self.incident.requirements.regions
            assert not any(each.values("nomad_cluster_state", state="conflicting"))

    def check_safety(self, scraped: Scrape) -> None:
        """Check that no server is safe to stop while another one is not a running voter.

        In a strict incident, every server must be safe to stop while the cluster is calm.
        """
        servers = [self.agents[role] for role in SERVERS if self.agents[role] in scraped.agents]
        safe = {agent for agent in servers if scraped.verdicts[agent, "quorum"].status == 200}
        self.calm = all(is_calm(each, servers) for each in scraped.pages)
        if self.incident.strict and self.calm and is_fresh(scraped, servers):
            self.phases.add("calm")
            assert safe == set(servers), "the cluster is calm"
        degraded = {agent for agent in servers if all(is_degraded(each, agent, servers) for each in scraped.pages)}
        if degraded - self.touched:
            self.phases.add("degraded")
            assert not safe & degraded - self.touched, f"{safe} are safe to stop in a degraded cluster"

    def missing(self, expectation: Expectation, scraped: Scrape) -> Iterator[str]:
        """Yield a text for each part of an expectation that is not met."""
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
        if sample.match is Match.EQUALS:
            return sample.value in found
        return sum(found) - sum(self.found(sample, agent, self.first_page)) >= sample.value

    def found(self, sample: SampleExpectation, agent: str, page: Page) -> list[float]:
        agents = {role.value: _RoleName(name) for role, name in self.members.items()}
        labels = {name: value.format(**agents) for name, value in sample.labels.items()}
        return page.values(sample.name, agent=agent, **labels)

    def is_late(self, pending: PendingExpectation, now: Page) -> bool:
        """Return whether every agent was polled so often that the expectation should have been met.

        An agent that is not monitored yet counts like the agent with the most polls.
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
    """The attributes of an agent that labels may contain."""

    member: str


def polls_between(since: Page, now: Page, agent: str, source: str) -> float:
    """Return the number of polls of an agent between two scrapes."""
    name = "nomad_exporter_polls_total"
    return sum(now.values(name, agent=agent, source=source)) - sum(since.values(name, agent=agent, source=source))


def health_failures(page: Page, agent: str) -> float:
    """Return the number of failed health polls of an agent."""
    return sum(page.values("nomad_exporter_poll_failures_total", agent=agent, source="health"))


def is_calm(page: Page, servers: Sequence[str]) -> bool:
    """Return whether all servers are healthy, alive in gossip, and voters."""
    return not page.values("nomad_agent_leader_reachable").count(0) and all(
        not page.values("nomad_exporter_poll_failing", agent=agent) and votes_and_members(page, agent) == ([3], [3])
        for agent in servers
    )


def is_degraded(page: Page, agent: str, servers: Sequence[str]) -> bool:
    """Return whether another server does not respond, or the leader knows fewer than three voters or members."""
    others = [other for other in servers if other != agent]
    is_down = any(page.values("nomad_exporter_poll_failing", agent=other, source="health") for other in others)
    leading = [server for server in servers if page.value("nomad_agent_leader", agent=server)]
    if is_down or len(leading) != 1:
        return is_down
    votes, members = votes_and_members(page, leading[0])
    # Before the first poll of members, nothing is known of them.
    return bool(members) and (votes, members) != ([3], [3])


def votes_and_members(page: Page, agent: str) -> tuple[list[float], list[float]]:
    """Return the numbers of voters and of alive members of its region that a server reports."""
    region = agent.rpartition(".")[2] if "." in agent else HOME_REGION
    votes = page.values("nomad_agent_raft_servers", agent=agent, suffrage="Voter")
    return votes, page.values("nomad_agent_members", agent=agent, nomad_region=region, status="alive")


def is_fresh(scraped: Scrape, servers: Sequence[str]) -> bool:
    """Return whether the health of all servers was polled successfully within two intervals."""
    successes = [scraped.before.value(_LAST_SUCCESS, agent=agent, source="health") or 0.0 for agent in servers]
    return scraped.ended - min(successes) < 2 * INTERVAL
