"""Which agents a request is about: ``?agent=NAME``."""

from __future__ import annotations

from collections.abc import Collection

from nomad_exporter.clock import Instant
from nomad_exporter.judge.judging import Judged, judge_all
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question
from nomad_exporter.metrics.drawing import Drawing
from nomad_exporter.watch.store import Kept, Store
from nomad_exporter.web.http import Request, Response, text

Agents = tuple[Kept[Drawing], ...]


def chosen(store: Store[Drawing], request: Request) -> Agents | Response:
    """The agents named by the request, each once, or all where it names none; 404 where one is not known."""
    names = dict.fromkeys(request.parameters.get("agent", []))
    found = {name: store.get(name) for name in names}
    missing = [name for name, kept in found.items() if kept is None]
    if missing:
        return text(404, f"no agent has the name {missing[0]!r}; known: {_names(store.kept())}")
    return tuple(kept for kept in found.values() if kept) if names else store.kept()


def single(store: Store[Drawing], request: Request) -> Kept[Drawing] | Response:
    """The one agent that the request is about; 400 where there are several and it does not name one."""
    agents = chosen(store, request)
    if isinstance(agents, Response):
        return agents
    if len(agents) != 1:
        return text(400, f"name one agent with ?agent=; known: {_names(store.kept())}")
    return agents[0]


def judged(
    store: Store[Drawing],
    agents: Agents,
    at: Instant,
    limits: Limits,
    questions: Collection[Question] = tuple(Question),
) -> list[Judged]:
    """The verdicts about ``agents``, in their order; all servers that are watched are witnesses."""
    fleet = (kept.snapshot for kept in store.kept())
    return judge_all(fleet, [kept.snapshot for kept in agents], at, limits, questions)


def _names(agents: Agents) -> str:
    return ", ".join(kept.snapshot.agent.name for kept in agents[:20]) + (", …" if len(agents) > 20 else "")
