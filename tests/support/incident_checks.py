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

from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import GUIDE, Question, Reason
from urllib3 import HTTPConnectionPool

from nomad_exporter.demo.deeds import DEEDS
from nomad_exporter.demo.incidents.story import SERVERS, Deed, Expected, Incident, Role, Scene, Shown, Sight
from tests.support.demo import Demo
from tests.support.exporter import run
from tests.support.looks import QUESTIONS, Look, Page, Verdict, look, page

PACE = 10
"""Of the demo."""

INTERVAL = 0.4
"""Seconds between two polls of its exporter. It gives up after 0.8 of them, and all else that runs slows it down."""

PAUSE = 0.1
"""Seconds between two looks."""

HOME_REGION = "global"
"""The region where there is only one; with several, each server's name ends with its own."""

SLACK = 3
"""Polls that an expectation may take longer: one is under way when the deed is done, one begins, one is told."""

HOPELESS = 120.0
"""After so many seconds a scene is given up, where the polls do not go on either."""

ENDS = frozenset({"kill", "freeze", "leave", "remove"})
BEGINS = frozenset({"start", "thaw"})

SOURCES = ("health", "self")

CHECK_SECONDS = "3s"
"""So long the command waits for an agent that is silent."""

_LAST_SUCCESS = "nomad_exporter_poll_last_success_timestamp_seconds"


@dataclass(frozen=True)
class Wait:
    """What is awaited, since when, and whether it is there; once it was, it may be missed for some polls only."""

    expected: Expected
    since: Page
    seen: bool = False
    grace: float = math.inf

    def after(self, look: Look, missing: bool) -> Wait:
        if self.seen and self.expected.passing:
            return self
        return replace(self, seen=False) if missing else Wait(self.expected, look.after, seen=True, grace=0)


@dataclass
class Watch:
    """An incident as it is played, and what was seen of it so far.

    ``touched`` are the agents to which something was done since all was ``calm``, ``down`` those that were ended and
    not begun again; ``living`` those that must live, for they run and were seen to. ``failures`` are those of the
    polls of each agent's health, as they were when it told it last.
    """

    demo: Demo
    incident: Incident
    pool: HTTPConnectionPool
    begun: Page
    agents: dict[Role, str] = field(default_factory=dict)
    members: dict[Role, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    living: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    calm: bool = True
    failures: dict[str, float] = field(default_factory=dict)
    moods: set[str] = field(default_factory=set)
    pause: threading.Event = field(default_factory=threading.Event)

    def play(self, number: int, scene: Scene) -> None:
        """Plays the scene; returns when all that it leads one to expect was seen."""
        told = self.demo.play(f"{self.incident.name}/{number}")
        assert told.status_code == 200, told.text
        self.meet(self.demo.cast())
        self.heed(scene)
        waits = [Wait(expected, page(self.pool)) for expected in scene.expected]
        end = time.monotonic() + HOPELESS
        while not all(wait.seen for wait in waits):
            seen = self.look()
            waits = [wait.after(seen, any(self.missing(wait.expected, seen))) for wait in waits]
            for wait in waits:
                late = not wait.seen and (self.is_late(wait, seen.before) or time.monotonic() > end)
                assert not late, f"scene {number}: {'; '.join(self.missing(wait.expected, seen))}"
        self.check(list(QUESTIONS)[number % len(QUESTIONS)], self.look())

    def meet(self, cast: dict[str, str]) -> None:
        """Learns who plays which role. Where there is one region, the exporter calls agents by their bare names."""
        for role, name in cast.items():
            bare = name if self.incident.needs.regions > 1 else name.partition(".")[0]
            self.agents[Role(role)], self.members[Role(role)] = bare, name

    def heed(self, scene: Scene) -> None:
        """Minds what was done: an agent that was ended need not live; one that was begun must, once it was seen to."""
        deeds = [deed for deed in scene.deeds if isinstance(deed, Deed)]
        done = {what: {self.agents[role] for deed in deeds if deed.what == what for role in deed.to} for what in DEEDS}
        touched = set().union(*done.values())
        self.touched = touched if self.calm else self.touched | touched
        self.down |= set().union(*(done[what] for what in ENDS))
        self.down -= set().union(*(done[what] for what in BEGINS))
        self.living -= touched

    def look(self) -> Look:
        """A look, and what must hold at every one."""
        self.pause.wait(PAUSE)
        seen = look(self.pool)
        self.check_life(seen)
        self.check_silence(seen)
        if seen.seconds < INTERVAL:  # In more, a verdict can change and change again.
            self.check_metrics(seen)
            self.check_safety(seen)
        return seen

    def check(self, question: str, before: Look) -> None:
        """The command, which asks the agents itself, answers a question as the exporter does."""
        file = self.demo.config_file
        told = run("check", "--config.file", file, "--timeout", CHECK_SECONDS, "--json", question)
        after = self.look()
        findings = json.loads(told.stdout)["agents"]
        assert (told.returncode == 0) is all(finding["holds"] for finding in findings)
        for finding in findings:
            agent = finding["agent"]
            verdicts = [look.verdicts[agent, question] for look in (before, after)]
            if question != "quorum":
                assert finding["reason"] in {verdict.reason for verdict in verdicts}, f"{finding}, but {verdicts}"
            elif before.after.value("nomad_agent_up", agent=agent) == 1:  # Of others, the exporter has memories alone.
                assert finding["holds"] in {verdict.status == 200 for verdict in verdicts}, f"{finding}, but {verdicts}"

    def check_metrics(self, seen: Look) -> None:
        """Each path says what its metric says, before it or after."""
        for (agent, question), verdict in seen.verdicts.items():
            told = {each.value(QUESTIONS[question], agent=agent) for each in seen.pages}
            assert float(verdict.status == 200) in told, f"{agent}: {question} is {verdict}, but the metric {told}"

    def check_life(self, seen: Look) -> None:
        """No agent that runs is ever not live, once it was seen alive."""
        for agent in set(seen.agents) - self.down:
            if seen.verdicts[agent, "live"].status == 200:
                self.living.add(agent)
            assert agent not in self.living or seen.verdicts[agent, "live"].status == 200, f"{agent} runs"

    def check_silence(self, seen: Look) -> None:
        """An agent that is silent is borne for some attempts before it is called dead."""
        for agent in seen.agents:
            if seen.verdicts[agent, "live"].reason == Reason.NOT_ANSWERING and agent in self.failures:
                silences = health_failures(seen.after, agent) - self.failures[agent]
                assert silences >= Limits().attempts, f"{agent} is called dead after {silences} attempts"
            if not seen.before.values("nomad_exporter_poll_failing", agent=agent, source="health"):
                self.failures[agent] = health_failures(seen.before, agent)

    def check_safety(self, seen: Look) -> None:
        """No server may be stopped while another one is away or no voter; where it is strict, any may in the calm."""
        servers = [self.agents[role] for role in SERVERS if self.agents[role] in seen.agents]
        safe = {agent for agent in servers if seen.verdicts[agent, "quorum"].status == 200}
        self.calm = all(is_calm(each, servers) for each in seen.pages)
        if self.incident.strict and self.calm and is_fresh(seen, servers):
            self.moods.add("calm")
            assert safe == set(servers), "all is calm"
        uneasy = {agent for agent in servers if all(is_uneasy(each, agent, servers) for each in seen.pages)}
        if uneasy - self.touched:
            self.moods.add("uneasy")
            assert not safe & uneasy - self.touched, f"{safe} may be stopped, though not all others are there"

    def missing(self, expected: Expected, seen: Look) -> Iterator[str]:
        """What is not as expected, in words."""
        for role in expected.of:
            agent = self.agents[role]
            for question, reason in expected.reasons.items():
                wanted = Verdict(200 if Question(question) in GUIDE[Reason(reason)].yes else 503, reason)
                told = seen.verdicts.get((agent, question))
                if told != wanted:
                    yield f"{agent}: {question} is {told} and not {wanted}"
            for shown in expected.samples:
                if not any(self.is_shown(shown, agent, each) for each in seen.pages):
                    yield f"{agent}: not {shown} but {self.found(shown, agent, seen.after)}"

    def is_shown(self, shown: Shown, agent: str, page: Page) -> bool:
        found = self.found(shown, agent, page)
        if shown.sight is Sight.ABSENT:
            return not found
        if shown.sight is Sight.IS:
            return shown.value in found
        return sum(found) - sum(self.found(shown, agent, self.begun)) >= shown.value

    def found(self, shown: Shown, agent: str, page: Page) -> list[float]:
        actors = {role.value: _Named(name) for role, name in self.members.items()}
        labels = {name: value.format(**actors) for name, value in shown.labels.items()}
        return page.values(shown.name, agent=agent, **labels)

    def is_late(self, wait: Wait, now: Page) -> bool:
        """Whether every agent was polled so often, for either source, that it should have been seen.

        The polls of one that is not watched yet are those of the agent that was polled most.
        """
        expected = wait.expected
        allowed = expected.within + SLACK + math.ceil(min(expected.after, wait.grace) / PACE / INTERVAL)
        polls = {agent: [grown(wait.since, now, agent, source) for source in SOURCES] for agent in now.agents}
        made = {agent: min(counts) for agent, counts in polls.items()}
        most = max(made.values())
        return all(made.get(self.agents[role], most) > allowed for role in expected.of)


@dataclass(frozen=True)
class _Named:
    """What a story may say of an agent in the labels of a metric."""

    member: str


def grown(since: Page, now: Page, agent: str, source: str) -> float:
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


def is_uneasy(page: Page, agent: str, servers: Sequence[str]) -> bool:
    """Whether another one of the servers is away, by its health, or one is no voter for the one that leads."""
    others = [other for other in servers if other != agent]
    away = any(page.values("nomad_exporter_poll_failing", agent=other, source="health") for other in others)
    leading = [server for server in servers if page.value("nomad_agent_leader", agent=server)]
    return away or (len(leading) == 1 and votes_and_members(page, leading[0]) != ([3], [3]))


def votes_and_members(page: Page, agent: str) -> tuple[list[float], list[float]]:
    """The voters and the living members of its region that the server knows."""
    region = agent.rpartition(".")[2] if "." in agent else HOME_REGION
    votes = page.values("nomad_agent_raft_servers", agent=agent, suffrage="Voter")
    return votes, page.values("nomad_agent_members", agent=agent, region=region, status="alive")


def is_fresh(seen: Look, servers: Sequence[str]) -> bool:
    """Whether the exporter has come to ask about health so lately that the answers still prove something."""
    asked = [seen.before.value(_LAST_SUCCESS, agent=agent, source="health") or 0.0 for agent in servers]
    return seen.ended - min(asked) < 2 * INTERVAL
