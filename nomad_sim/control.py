"""The demo's own page: who is there, what can be done to them, and the incidents that can be played."""

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
"""A status and some lines of text."""

Headers = Mapping[str, str]
"""By name in lower case."""

Action = Callable[[], Awaitable[str]]
"""Does something; gives the lines that tell what came of it."""

PAGES: Mapping[str, Callable[[IncidentRunner], str]] = {"/": listing.list_agents, "/incidents": listing.list_incidents}

_WRONG_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, "GET the page, POST what is to be done\n")
_CROSS_SITE = (HTTPStatus.FORBIDDEN, "this page takes nothing from other sites\n")
_TEXT: Headers = {"content-type": "text/plain; charset=utf-8"}
_HTML: Headers = {"content-type": "text/html; charset=utf-8", **SECURITY_HEADERS}


class NotFound(Exception):
    """There is no such agent, deed, incident or step; the message is a sentence."""


def control_page(runner: IncidentRunner, exporter: str = "") -> Application:
    """``GET /`` lists the agents, in a browser with all that can be done; ``GET /incidents`` lists the incidents.

    ``POST /NAME/ACTION`` does something to an agent, such as ``/s1.global/kill``; ``POST /incidents/NAME`` plays an
    incident by its times, ``POST /incidents/NAME/N`` its step N alone. ``exporter`` is the URL of the exporter.
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
    """What a path asks for. Raises NotFound."""
    if rest or (step and target != "incidents"):
        raise NotFound("there is nothing of this name")
    if target == "incidents":
        return _find_incident_action(runner, action_name, step)
    if target not in runner.agents:
        raise NotFound(f"there is no agent of this name, only {', '.join(runner.agents)}")
    if action_name not in FAULTS:
        raise NotFound(f"that can not be done, only {', '.join(FAULTS)}")
    return partial(_inject_fault, runner, target, action_name)


def _find_incident_action(runner: IncidentRunner, name: str, step: str) -> Action:
    if name not in INCIDENTS:
        raise NotFound(f"there is no incident of this name, only {', '.join(INCIDENTS)}")
    count = len(INCIDENTS[name].steps)
    if step and step not in map(str, range(1, count + 1)):
        raise NotFound(f"{name} has the steps 1 to {count}")
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
    return f"{name} is played; GET /incidents tells how far it is\n"


def is_cross_site(headers: Headers) -> bool:
    """Whether a page of another site sent it: a browser tells whose page it was.

    A name whose owner lets it point to this machine is not believed: the page is called by an address, or localhost.
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
    """The page; after something was done, the way back to it, and else why it was not."""
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
