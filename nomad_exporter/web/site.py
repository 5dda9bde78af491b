"""The site: the data and the routes of its pages, and the agents that a request selects with ``?agent=NAME``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.polling.store import Entry, Store
from nomad_exporter.server.http import HTTPError, Request, Response
from nomad_exporter.verdicts.cluster import ClusterState, cluster_states
from nomad_exporter.verdicts.evaluate import Evaluation, evaluate
from nomad_exporter.verdicts.reasons import Question
from nomad_exporter.verdicts.verdict import Thresholds

Agents = tuple[Entry[Rendered], ...]

MAX_NAMES = 20
"""Maximum number of known agents that an error message lists."""


class ReloadError(Exception):
    """A failed reload; the message is one line, and the configuration is unchanged."""


@dataclass(frozen=True, slots=True)
class Site:
    """The data that the pages are built from.

    ``reload`` requests a reload of the configuration, which may end with ReloadError; it is None if reloading over HTTP
    is disabled.
    """

    store: Store[Rendered]
    self_metrics: SelfMetrics
    thresholds: Thresholds
    reload: Callable[[], Future[None]] | None = None


Handler = Callable[[Site, Request, Instant], Response | Awaitable[Response]]
"""Returns the response to a request, at once or later. Raises HTTPError if the request is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path and its handler; ``summary`` is a phrase for the table of paths in the documents.

    A handler that is ``blocking`` takes long with many agents. The status page links a route with a ``title`` once, and
    a route that is ``per_agent`` for each agent.
    """

    path: str
    handler: Handler
    summary: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    blocking: bool = False
    title: str = ""
    per_agent: bool = False


def select_agents(site: Site, request: Request) -> Agents:
    """Return the agents that the request names, each once, or else all. Raises HTTPError for an unknown agent."""
    names = dict.fromkeys(request.query_params.get("agent", []))
    named = {name: site.store.get(name) for name in names}
    unknown = [name for name, entry in named.items() if entry is None]
    if unknown:
        raise HTTPError(404, f"unknown agent {unknown[0]!r} (known: {_names(site.store.entries())})")
    return tuple(entry for entry in named.values() if entry) if names else site.store.entries()


def select_agent(site: Site, request: Request) -> Entry[Rendered]:
    """Return the only agent that the request selects. Raises HTTPError for several agents, or an unknown one."""
    entries = select_agents(site, request)
    if len(entries) != 1:
        raise HTTPError(400, f"select one agent with ?agent=NAME (known: {_names(site.store.entries())})")
    return entries[0]


def evaluate_agents(
    site: Site, entries: Agents, now: Instant, questions: Collection[Question] = tuple(Question)
) -> list[Evaluation]:
    """Return the verdicts about the agents of ``entries``, in their order; all monitored servers provide evidence."""
    fleet = (entry.snapshot for entry in site.store.entries())
    return evaluate(fleet, [entry.snapshot for entry in entries], now, site.thresholds, questions)


def evaluate_clusters(site: Site, evaluations: Sequence[Evaluation], now: Instant) -> list[ClusterState]:
    """Return the state of each cluster, given the evaluations of all its agents."""
    return cluster_states(evaluations, site.store.polled_clusters, now, site.thresholds)


def _names(entries: Agents) -> str:
    return list_names([entry.snapshot.agent.name for entry in entries])


def list_names(names: Sequence[str]) -> str:
    """Return the first ``MAX_NAMES`` names, separated by commas."""
    return ", ".join([*names[:MAX_NAMES], *(["…"] if len(names) > MAX_NAMES else [])])
