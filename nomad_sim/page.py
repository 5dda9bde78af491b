"""The control page in a browser: the agents with buttons for faults, and the incidents with their steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from nomad_sim.faults import available_faults
from nomad_sim.incidents.describe import describe_step
from nomad_sim.incidents.runner import Progress
from nomad_sim.incidents.scenario import Incident
from nomad_sim.layout import exporter_name
from nomad_sim.listing import role
from nomad_sim.model.agents import Agent

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d1d1f; }
header { display: flex; align-items: baseline; gap: 1rem; border-bottom: 3px solid #00a86b; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 0; } header span { color: #6b6b70; }
nav a { margin-right: 1.2rem; } a { color: #00704a; } form { display: inline; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #e3e3e6; }
th { color: #6b6b70; font-weight: 600; white-space: nowrap; } strong,
td.actions { white-space: nowrap; text-align: right; }
button { font: inherit; font-size: 13px; padding: .1rem .6rem; border: 1px solid #c9c9ce; border-radius: 4px;
background: transparent; color: inherit; cursor: pointer; } button:hover { border-color: #00a86b; }
.running { color: #17702f; } .dead { color: #b3261e; } .paused, .partitioned { color: #9a6700; }
.missing { color: #6b6b70; }
aside { border-left: 3px solid #00a86b; padding: .2rem 1rem; margin: 1rem 0; } aside.error { border-color: #b3261e; }
pre { white-space: pre-wrap; margin: .3rem 0; font-size: 13px; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1d; color: #e8e8ea; } a { color: #5fd3a5; }
th, td { border-color: #38383c; } .running { color: #6fd08c; } .dead { color: #ff8a80; }
.paused, .partitioned { color: #e3b341; } }
"""

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""Headers that keep other sites from loading, framing or scripting the page."""


@dataclass(frozen=True, slots=True)
class View:
    """The data of the page. Each incident is paired with the requirements that the cluster does not meet.

    ``exporter`` is the URL of the exporter, empty without one. ``notice`` is the error of the last request.
    """

    agents: Sequence[Agent]
    partitioned: frozenset[str]
    incidents: Sequence[tuple[Incident, str]]
    progress: Progress | None
    is_running: bool
    exporter: str
    notice: str = ""


def render_page(view: View) -> str:
    """Render the page, which reloads itself every three seconds."""
    version = view.agents[0].setup.version.build if view.agents else ""
    links = (("Status", "/"), ("Metrics", "/metrics")) if view.exporter else ()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated cluster</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="3; url=/">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>'
        f"<header><h1>Simulated cluster</h1><span>Nomad {escape(version)}</span></header>"
        f"<nav>{''.join(_link(view.exporter + path, name) for name, path in links)}</nav>"
        f"{_notice(view.notice)}{_progress(view)}<h2>Agents</h2>{_agents(view)}<h2>Incidents</h2>{_incidents(view)}"
        "</body></html>\n"
    )


def _notice(notice: str) -> str:
    return f'<aside class="error">{escape(notice)}</aside>' if notice else ""


def _progress(view: View) -> str:
    """Render the last step that ran, with a button for the next one."""
    progress = view.progress
    if progress is None:
        return ""
    following = (
        ""
        if view.is_running or progress.is_complete
        else _button(*_step_path(progress.incident, progress.steps_done + 1), "next step")
    )
    title, text = progress.title(view.is_running), "\n".join(describe_step(progress.step, progress.role_map))
    return f"<aside><strong>{escape(title)}</strong> {following}<pre>{escape(text)}</pre></aside>"


def _agents(view: View) -> str:
    multi_region = len({agent.setup.region for agent in view.agents}) > 1
    rows = (_agent(agent, agent.name in view.partitioned, view.exporter, multi_region) for agent in view.agents)
    return _table(("Agent", "Role", "State", "Exporter", ""), rows)


def _agent(agent: Agent, is_partitioned: bool, exporter: str, multi_region: bool) -> tuple[str, ...]:
    setup = agent.setup
    query = f"?agent={quote(exporter_name(setup, multi_region))}"
    pages = ("health/live", "health/ready", "health/quorum", "metrics") if exporter else ()
    return (
        f"<strong>{escape(agent.name)}</strong><br>{_link(f'{setup.url}/v1/agent/self?pretty', setup.url)}",
        escape(role(agent)),
        _mark(agent.state.value) + (f"<br>{_mark('partitioned')}" if is_partitioned else ""),
        " ".join(_link(f"{exporter}/{page}{query}", page.removeprefix("health/")) for page in pages),
        " ".join(
            _button(agent.name, fault, fault)
            for fault in available_faults(agent)
            if fault != ("partition" if is_partitioned else "heal")
        ),
    )


def _incidents(view: View) -> str:
    return _table(("Incident", "Description", ""), (_incident(*each) for each in view.incidents))


def _incident(incident: Incident, missing: str) -> tuple[str, ...]:
    steps = range(1, len(incident.steps) + 1)
    buttons = [
        _button("incidents", incident.name, "run"),
        *(_button(*_step_path(incident, n), str(n)) for n in steps),
    ]
    actions = _mark("missing", f"requires {missing}") if missing else " ".join(buttons)
    return f"<strong>{escape(incident.name)}</strong>", escape(incident.title), actions


def _step_path(incident: Incident, number: int) -> tuple[str, str]:
    return f"incidents/{incident.name}", str(number)


def _table(headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    """Render a table whose last column holds buttons."""
    head = "".join(f"<th>{name}</th>" for name in headings)
    body = "".join(
        f'<tr>{"".join(f"<td>{cell}</td>" for cell in cells)}<td class="actions">{last}</td></tr>'
        for *cells, last in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _button(target: str, action: str, label: str) -> str:
    """Render a button that posts to ``/target/action``, as a form, which needs no script."""
    return f'<form method="post" action="/{quote(target)}/{quote(action)}"><button>{escape(label)}</button></form>'


def _link(url: str, label: str) -> str:
    return f'<a href="{escape(url)}">{escape(label)}</a>'


def _mark(kind: str, label: str = "") -> str:
    return f'<span class="{kind}">{escape(label or kind)}</span>'
