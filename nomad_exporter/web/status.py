"""The status page on ``/``: all agents and their state at a glance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from nomad_exporter import __version__
from nomad_exporter.clock import Instant
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.failures import FAILURE_REASONS, Failure
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Snapshot, SourceState
from nomad_exporter.server.http import HTML, Request, Response
from nomad_exporter.verdicts.cluster import ClusterState, cluster_verdict
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Verdict
from nomad_exporter.web.site import Route, Site, evaluate_agents, evaluate_clusters, select_agents
from nomad_exporter.web.status_text import status_text

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d1d1f; }
header { display: flex; align-items: baseline; gap: 1rem; border-bottom: 3px solid #e6522c; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } header span { color: #6b6b70; }
nav a { margin-right: 1.2rem; } a { color: #b23c17; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #e3e3e6; }
td { overflow-wrap: break-word; } th { color: #6b6b70; font-weight: 600; white-space: nowrap; }
.ok { color: #17702f; } .bad { color: #b3261e; } .muted { color: #6b6b70; }
@media (max-width: 50rem) { thead { display: none } td { display: block; border: 0; padding: .15rem 0 }
tr { display: block; border-bottom: 1px solid #e3e3e6; padding: .6rem 0 } }
@media (prefers-color-scheme: dark) { body { background: #1b1b1d; color: #e8e8ea; } a { color: #ff8a65; }
th, td { border-color: #38383c; } .ok { color: #6fd08c; } .bad { color: #ff8a80; }
th, header span, .muted { color: #a0a0a6; } }
"""

_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}

_HEADINGS = ("Agent", "Role", "Status", "Health", "Verdicts", "Last answers")
_LABELS = {Question.LIVE: "live", Question.READY: "ready", Question.QUORUM: "safe to stop"}


def status(routes: Sequence[Route], site: Site, request: Request, now: Instant) -> Response:
    """Return the page: for each cluster its status, and for each agent role, poll status, health, verdicts and ages.

    ``routes`` are the pages to link. A client that does not ask for HTML, such as curl, receives text.
    """
    evaluations = evaluate_agents(site, select_agents(site, request), now)
    all_clusters = [] if request.query_params.get("agent") else evaluate_clusters(site, evaluations, now)
    clusters = [cluster for cluster in all_clusters if cluster.is_polled and cluster.status]
    is_browser = "text/html" in request.headers.get("accept", "")
    page = _html(routes, evaluations, clusters, now) if is_browser else status_text(evaluations, clusters, now)
    return page.with_header("Vary", "Accept")


def _html(
    routes: Sequence[Route], evaluations: Sequence[Evaluation], clusters: Sequence[ClusterState], now: Instant
) -> Response:
    rows = "".join(_row(evaluation, routes, now) for evaluation in evaluations)
    links = "".join(f'<a href="{route.path}">{route.title}</a>' for route in routes if route.title)
    headings = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nomad-exporter</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="15">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>'
        f"<header><h1>nomad-exporter</h1><span>{escape(__version__)}</span></header>"
        f"<p>Prometheus exporter and health bridge for HashiCorp Nomad agents.</p><nav>{links}</nav>"
        f"{''.join(map(_cluster, clusters))}"
        f"<table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )
    return Response(200, body.encode(), HTML, _SECURITY)


def _cluster(cluster: ClusterState) -> str:
    """Return the status of a cluster, with its message, and with its remedy unless it can lose a voter."""
    verdict = cluster_verdict(cluster)
    status = _mark("ok" if verdict.ok else "bad", str(cluster.status))
    remedy = "" if verdict.ok else _mark("muted", verdict.remedy)
    return f"<p>Cluster <strong>{escape(cluster.full_name)}</strong>: {status} {escape(verdict.message)} {remedy}</p>"


def _row(evaluation: Evaluation, routes: Iterable[Route], now: Instant) -> str:
    snapshot, agent = evaluation.snapshot, evaluation.snapshot.agent
    cells = (
        f"<strong>{escape(agent.name)}</strong><br>{escape(str(agent.address))}<br>{_agent_links(agent.name, routes)}",
        _role(snapshot),
        _poll_status(snapshot),
        "<br>".join(_health(snapshot)),
        "<br>".join(_verdicts(list(evaluation.verdicts.values()))),
        "<br>".join(_answer_ages(snapshot.source_states, now)),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _agent_links(name: str, routes: Iterable[Route]) -> str:
    query = escape(urlencode({"agent": name}))
    paths = [route.path for route in routes if route.per_agent]
    return " ".join(f'<a href="{path}?{query}">{path.rpartition("/")[2]}</a>' for path in paths)


def _role(snapshot: Snapshot) -> str:
    answer = snapshot[SELF].answer
    version = f"Nomad {answer.version}" if answer and answer.version else ""
    return "<br>".join(escape(text) for text in (", ".join(sorted(snapshot.roles)), version))


def _poll_status(snapshot: Snapshot) -> str:
    """Return each distinct poll failure with the affected sources and its remedy."""
    failures: dict[Failure, list[str]] = {}
    for state in snapshot.source_states:
        if state.failure:
            failures.setdefault(state.failure, []).append(state.source.name)
    if failures:
        return "".join(
            f"<div>{_mark('bad', str(failure))} ({', '.join(sources)})<br>"
            f"{_mark('muted', FAILURE_REASONS[failure.reason].remedy)}</div>"
            for failure, sources in failures.items()
        )
    return _mark("ok", "responding") if snapshot.is_polled else _mark("muted", "not polled yet")


def _health(snapshot: Snapshot) -> Iterator[str]:
    """Yield the last health of each role, marked as outdated if the last poll of health failed."""
    state = snapshot[HEALTH]
    if state.answer:
        for role, check in sorted(state.answer.plain.checks.items()):
            if state.failure:
                yield _mark("muted", f"{role}: {check.message} (outdated)")
            else:
                yield _mark("ok" if check.ok else "bad", f"{role}: {check.message}")


def _verdicts(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield each verdict, with reason and message unless it is ok, and each remedy once."""
    last = {verdict.remedy: verdict for verdict in verdicts}
    for verdict in verdicts:
        label = _LABELS[verdict.question]
        if verdict.ok:
            kind = "muted" if verdict.is_assumed else "ok"
            yield _mark(kind, "not a voter" if verdict.reason is VerdictReason.NOT_A_VOTER else label)
        else:
            kind = "muted" if verdict.reason is VerdictReason.STARTING else "bad"
            remedy = _mark("muted", verdict.remedy) if last[verdict.remedy] is verdict else ""
            yield f"{_mark(kind, f'not {label}: {verdict.reason}')}<br>{escape(verdict.message)} {remedy}"


def _answer_ages(states: Iterable[SourceState[Any]], now: Instant) -> Iterator[str]:
    for state in states:
        if state.answered:
            yield f"{state.source} {durations.text(max(0, round(state.age(now))))} ago"
        elif state.last or state.source.role is None:
            yield f"{state.source} never"


def _mark(kind: str, text: str) -> str:
    return f'<span class="{kind}">{escape(text)}</span>'
