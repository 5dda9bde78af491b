"""Which agents a request is about: ``?agent=NAME``."""

from __future__ import annotations

from collections.abc import Collection

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import Request, Response, text

Agents = tuple[Entry[Rendered], ...]


def select_agents(store: Store[Rendered], request: Request) -> Agents | Response:
    """The agents named by the request, each once, or all where it names none; 404 where one is not known."""
    names = dict.fromkeys(request.parameters.get("agent", []))
    found = {name: store.get(name) for name in names}
    missing = [name for name, kept in found.items() if kept is None]
    if missing:
        return text(404, f"no agent has the name {missing[0]!r}; known: {_names(store.entries())}")
    return tuple(kept for kept in found.values() if kept) if names else store.entries()


def select_agent(store: Store[Rendered], request: Request) -> Entry[Rendered] | Response:
    """The one agent that the request is about; 400 where there are several and it does not name one."""
    agents = select_agents(store, request)
    if isinstance(agents, Response):
        return agents
    if len(agents) != 1:
        return text(400, f"name one agent with ?agent=; known: {_names(store.entries())}")
    return agents[0]


def evaluate_agents(
    store: Store[Rendered],
    agents: Agents,
    at: Instant,
    thresholds: Thresholds,
    questions: Collection[Question] = tuple(Question),
) -> list[Evaluation]:
    """The verdicts about ``agents``, in their order; all servers that are watched are witnesses."""
    fleet = (kept.snapshot for kept in store.entries())
    return evaluate(fleet, [kept.snapshot for kept in agents], at, thresholds, questions)


def _names(agents: Agents) -> str:
    return ", ".join(kept.snapshot.agent.name for kept in agents[:20]) + (", …" if len(agents) > 20 else "")
