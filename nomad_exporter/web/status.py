"""The status page on ``/``: for a person who wants to see at a glance what the exporter knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import urlencode

from nomad_exporter import __version__
from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.failures import FAILURE_REASONS, Failure
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import AnySourceState, Snapshot
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.evaluate import Evaluation
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Thresholds, Verdict
from nomad_exporter.web.http import HTML, Request, Response
from nomad_exporter.web.selection import evaluate_agents, select_agents

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d1d1f; }
header { display: flex; align-items: baseline; gap: 1rem; border-bottom: 3px solid #e6522c; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } header span { color: #6b6b70; }
nav a { margin-right: 1.2rem; } a { color: #b23c17; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #e3e3e6; }
td { overflow-wrap: break-word; } th { color: #6b6b70; font-weight: 600; white-space: nowrap; }
.well { color: #17702f; } .sick { color: #b3261e; } .wait { color: #6b6b70; }
@media (max-width: 50rem) { thead { display: none } td { display: block; border: 0; padding: .15rem 0 }
tr { display: block; border-bottom: 1px solid #e3e3e6; padding: .6rem 0 } }
@media (prefers-color-scheme: dark) { body { background: #1b1b1d; color: #e8e8ea; } a { color: #ff8a65; }
th, td { border-color: #38383c; } .well { color: #6fd08c; } .sick { color: #ff8a80; } }
"""

_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}

_OF_SOME = (Source.MEMBERS, Source.AUTOPILOT)
"""What only servers are asked for, or only the leader."""

_PAGES = ("/metrics", "/health", "/health/live", "/health/ready", "/health/quorum")
_ASKED = {Question.LIVE: "live", Question.READY: "ready", Question.QUORUM: "safe to stop"}
_LINKS = (("Metrics", "/metrics"), ("Exporter healthy", "/-/healthy"), ("Exporter ready", "/-/ready"))


def status(store: Store[Rendered], request: Request, at: Instant, thresholds: Thresholds) -> Response:
    """The page: a row for each agent, or for those named, with what it is, how it is, and how the asking goes."""
    agents = select_agents(store, request)
    if isinstance(agents, Response):
        return agents
    rows = "".join(_row(each, at) for each in evaluate_agents(store, agents, at, thresholds))
    links = "".join(f'<a href="{path}">{name}</a>' for name, path in _LINKS)
    heads = "".join(f"<th>{head}</th>" for head in ("Agent", "Role", "State", "Health", "Verdicts", "Newest answers"))
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nomad-exporter</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="15">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>'
        f"<header><h1>nomad-exporter</h1><span>{escape(__version__)}</span></header>"
        f"<p>Prometheus exporter and health bridge for HashiCorp Nomad agents.</p><nav>{links}</nav>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )
    return Response(200, body.encode(), HTML, _SECURITY)


def _row(of: Evaluation, at: Instant) -> str:
    snapshot, agent, own = of.snapshot, of.snapshot.agent, of.snapshot.agent_self.answer
    version = f"Nomad {own.version}" if own and own.version else ""
    cells = (
        f"<strong>{escape(agent.name)}</strong><br>{escape(str(agent.address))}<br>{_links(agent.name)}",
        "<br>".join(escape(text) for text in (", ".join(sorted(snapshot.roles)), version)),
        _state(snapshot),
        "<br>".join(_health(snapshot)),
        "<br>".join(_verdict(verdict) for verdict in of.verdicts.values()),
        "<br>".join(_answers(snapshot.source_states, at)),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _links(name: str) -> str:
    """What is served of this agent alone."""
    of = escape(urlencode({"agent": name}))
    return " ".join(f'<a href="{path}?{of}">{path.rpartition("/")[2]}</a>' for path in _PAGES)


def _state(snapshot: Snapshot) -> str:
    """Every failure of polls, each once with the sources that it befalls, and what to do."""
    failures: dict[Failure, list[Source]] = {}
    for seen in snapshot.source_states:
        if seen.failure:
            failures.setdefault(seen.failure, []).append(seen.source)
    if failures:
        return "".join(
            f"<div>{_mark('sick', str(failure))} ({', '.join(sources)})<br>"
            f"{escape(_plain(FAILURE_REASONS[failure.reason].remedy))}</div>"
            for failure, sources in failures.items()
        )
    return _mark("well", "answers") if snapshot.is_polled else _mark("wait", "not asked yet")


def _health(snapshot: Snapshot) -> Iterator[str]:
    """The newest answer, which is no news any more where the newest attempt failed."""
    if snapshot.health.answer:
        for role, check in sorted(snapshot.health.answer.plain.checks.items()):
            if snapshot.health.failure:
                yield _mark("wait", f"was {role}: {check.message}")
            else:
                yield _mark("well" if check.ok else "sick", f"{role}: {check.message}")


def _verdict(verdict: Verdict) -> str:
    """What holds needs no words."""
    if verdict.ok:
        words = "no voter" if verdict.reason is VerdictReason.NOT_A_VOTER else _ASKED[verdict.question]
        return _mark("well", words)
    kind = "wait" if verdict.reason is VerdictReason.STARTING else "sick"
    return f"{_mark(kind, f'not {_ASKED[verdict.question]}')}<br>{escape(verdict.message)}"


def _answers(seen_sources: Iterable[AnySourceState], at: Instant) -> Iterator[str]:
    for seen in seen_sources:
        if seen.answered:
            yield f"{seen.source} {durations.text(max(0, round(seen.age(at))))} ago"
        elif seen.last or seen.source not in _OF_SOME:
            yield f"{seen.source} never"


def _plain(markdown: str) -> str:
    """The remedies are written for the README; here they are read without its marks."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "")


def _mark(kind: str, text: str) -> str:
    return f'<span class="{kind}">{escape(text)}</span>'
