"""Selection of agents by ``?agent=NAME``, and evaluation of the selected agents."""

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

MAX_NAMES = 20
"""Maximum number of known agents that an error message lists."""


def select_agents(store: Store[Rendered], request: Request) -> Agents | Response:
    """Return the agents that the request names, each once; all if it names none, a 404 if it names an unknown one."""
    names = dict.fromkeys(request.parameters.get("agent", []))
    named = {name: store.get(name) for name in names}
    unknown = [name for name, entry in named.items() if entry is None]
    if unknown:
        return text(404, f"unknown agent {unknown[0]!r} (known: {_names(store.entries())})")
    return tuple(entry for entry in named.values() if entry) if names else store.entries()


def select_agent(store: Store[Rendered], request: Request) -> Entry[Rendered] | Response:
    """Return the only agent that the request selects; a 400 if it selects several, a 404 if it names an unknown one."""
    entries = select_agents(store, request)
    if isinstance(entries, Response):
        return entries
    if len(entries) != 1:
        return text(400, f"select one agent with ?agent=NAME (known: {_names(store.entries())})")
    return entries[0]


def evaluate_agents(
    store: Store[Rendered],
    entries: Agents,
    now: Instant,
    thresholds: Thresholds,
    questions: Collection[Question] = tuple(Question),
) -> list[Evaluation]:
    """Return the verdicts about the agents of ``entries``, in their order; all monitored servers provide evidence."""
    fleet = (entry.snapshot for entry in store.entries())
    return evaluate(fleet, [entry.snapshot for entry in entries], now, thresholds, questions)


def _names(entries: Agents) -> str:
    names = [entry.snapshot.agent.name for entry in entries[:MAX_NAMES]]
    return ", ".join([*names, "…"] if len(entries) > MAX_NAMES else names)
