"""The control page: lists the agents, injects faults into them and runs incidents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from nomad_sim import listing
from nomad_sim.asgi import Application, Message, Receive, Send
from nomad_sim.faults import FAULTS, ConflictError, inject
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.requirements import cluster_shape, missing_requirements
from nomad_sim.incidents.runner import IncidentRunner
from nomad_sim.page import SECURITY_HEADERS, View, render_page

TextResponse = tuple[HTTPStatus, str]
"""A status and the text of the body."""

Headers = Mapping[str, str]
"""Headers by name in lower case."""

Action = Callable[[], Awaitable[str]]
"""Changes the cluster and returns a text about the result."""

PAGES: Mapping[str, Callable[[IncidentRunner], str]] = {"/": listing.list_agents, "/incidents": listing.list_incidents}

_WRONG_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, "method not allowed: GET a page, POST a fault or an incident\n")
_CROSS_SITE = (HTTPStatus.FORBIDDEN, "cross-site request refused\n")
_TEXT: Headers = {"content-type": "text/plain; charset=utf-8"}
_HTML: Headers = {"content-type": "text/html; charset=utf-8", **SECURITY_HEADERS}


class NotFound(Exception):
    """An agent, fault, incident or step that does not exist."""


def control_page(runner: IncidentRunner, exporter: str = "") -> Application:
    """Return the application of the control page; ``exporter`` is the URL of the exporter.

    ``GET /`` lists the agents, with buttons for faults and incidents in a browser; ``GET /incidents`` lists the
    incidents. ``POST /AGENT/FAULT`` injects a fault, such as ``/s1.global/kill``. ``POST /incidents/NAME`` runs an
    incident, ``POST /incidents/NAME/N`` only its step N.
    """

    async def respond(scope: Message, _: Receive, send: Send) -> None:
        await runner.server.tick()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        response = await _respond_text(runner, scope["method"], scope["path"], headers)
        wants_html = "text/html" in headers.get("accept", "")
        status, text, headers_out = (
            _render_html(runner, exporter, scope["method"], response) if wants_html else (*response, _TEXT)
        )
        await _send(send, status, "" if scope["method"] == "HEAD" else text, headers_out)

    return respond


async def _respond_text(runner: IncidentRunner, method: str, path: str, headers: Headers) -> TextResponse:
    try:
        if path in PAGES:
            return (HTTPStatus.OK, PAGES[path](runner)) if method in ("GET", "HEAD") else _WRONG_METHOD
        action = _find_action(runner, *path.removeprefix("/").split("/"))
        if method != "POST":
            return _WRONG_METHOD
        return _CROSS_SITE if is_cross_site(headers) else (HTTPStatus.OK, await action())
    except NotFound as error:
        return HTTPStatus.NOT_FOUND, f"{error}\n"
    except ConflictError as error:
        return HTTPStatus.CONFLICT, f"{error}\n"


def _find_action(runner: IncidentRunner, target: str, action_name: str = "", step: str = "", *rest: str) -> Action:
    """Return the action of a path. Raises NotFound."""
    if rest or (step and target != "incidents"):
        raise NotFound("not found")
    if target == "incidents":
        return _find_incident_action(runner, action_name, step)
    if target not in runner.agents:
        raise NotFound(f"no agent named {target!r}; use one of {', '.join(runner.agents)}")
    if action_name not in FAULTS:
        raise NotFound(f"no fault named {action_name!r}; use one of {', '.join(FAULTS)}")
    return partial(_inject_fault, runner, target, action_name)


def _find_incident_action(runner: IncidentRunner, name: str, step: str) -> Action:
    if name not in INCIDENTS:
        raise NotFound(f"no incident named {name!r}; use one of {', '.join(INCIDENTS)}")
    count = len(INCIDENTS[name].steps)
    if step and step not in map(str, range(1, count + 1)):
        raise NotFound(f"{name} has steps 1 to {count} (got {step!r})")
    return partial(_run_step, runner, name, int(step)) if step else partial(_start_incident, runner, name)


async def _inject_fault(runner: IncidentRunner, name: str, action_name: str) -> str:
    await inject(runner.server, name, action_name)
    world = runner.server.cluster.world
    return listing.agent_line(world, world.agents[name])


async def _run_step(runner: IncidentRunner, name: str, number: int) -> str:
    await runner.run_step(INCIDENTS[name], number)
    return listing.format_progress(runner)


async def _start_incident(runner: IncidentRunner, name: str) -> str:
    runner.start(INCIDENTS[name])
    return f"{name} is running; GET /incidents shows the progress\n"


def is_cross_site(headers: Headers) -> bool:
    """Return whether a browser sent the request from a page of another site.

    A browser names the site in ``Origin`` or ``Sec-Fetch-Site``. Only an IP address or ``localhost`` counts as this
    site, because the DNS records of any other name can be pointed to this machine.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return origin != f"http://{headers.get('host', '')}" or not _is_address(urlsplit(origin).hostname or "")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _render_html(
    runner: IncidentRunner, exporter: str, method: str, response: TextResponse
) -> tuple[HTTPStatus, str, Headers]:
    """Render the response for a browser: a redirect to the page after an action, else the page with any error."""
    status, text = response
    if method == "POST" and status is HTTPStatus.OK:
        return HTTPStatus.SEE_OTHER, "", {**_TEXT, "location": "/"}
    world = runner.server.cluster.world
    agents = tuple(runner.agents.values())
    shape = cluster_shape(runner.agents)
    view = View(
        agents,
        frozenset(agent.name for agent in agents if listing.is_partitioned(world, agent)),
        [(incident, missing_requirements(incident.requirements, shape)) for incident in INCIDENTS.values()],
        runner.progress,
        runner.is_running,
        exporter,
        "" if status is HTTPStatus.OK else text,
    )
    return status, render_page(view), _HTML


async def _send(send: Send, status: HTTPStatus, text: str, headers: Headers) -> None:
    headers_out = {**headers, "cache-control": "no-store", "vary": "Accept"}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers_out.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": pairs})
    await send({"type": "http.response.body", "body": text.encode()})
