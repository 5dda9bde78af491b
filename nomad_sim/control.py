"""The demo's own page: who is there, what can be done to them, and the incidents that can be played."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from nomad_exporter.demo import listing
from nomad_exporter.demo.deeds import DEEDS, Refused, do
from nomad_exporter.demo.incidents.catalogue import INCIDENTS
from nomad_exporter.demo.incidents.needs import lacking, shape_of
from nomad_exporter.demo.incidents.player import Player
from nomad_exporter.demo.page import SECURITY, View, html
from nomad_exporter.serving.asgi import Application, Message, Receive, Send

Told = tuple[HTTPStatus, str]
"""A status and some lines of text."""

Headers = Mapping[str, str]
"""By name in lower case."""

Deed = Callable[[], Awaitable[str]]
"""Does something; gives the lines that tell what came of it."""

PAGES: Mapping[str, Callable[[Player], str]] = {"/": listing.agents, "/incidents": listing.incidents}

_WRONG_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, "GET the page, POST what is to be done\n")
_FOREIGN = (HTTPStatus.FORBIDDEN, "this page takes nothing from other sites\n")
_TEXT: Headers = {"content-type": "text/plain; charset=utf-8"}
_HTML: Headers = {"content-type": "text/html; charset=utf-8", **SECURITY}


class Nothing(Exception):
    """There is no such agent, deed, incident or scene; the message is a sentence."""


def control(player: Player, exporter: str = "") -> Application:
    """``GET /`` lists the agents, in a browser with all that can be done; ``GET /incidents`` lists the incidents.

    ``POST /NAME/DEED`` does something to an agent, such as ``/s1.global/kill``; ``POST /incidents/NAME`` plays an
    incident by its times, ``POST /incidents/NAME/N`` its scene N alone. ``exporter`` is the URL of the exporter.
    """

    async def respond(scope: Message, _: Receive, send: Send) -> None:
        await player.stage.turn()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        told = await _told(player, scope["method"], scope["path"], headers)
        shown = "text/html" in headers.get("accept", "")
        status, text, sent = _for_people(player, exporter, scope["method"], told) if shown else (*told, _TEXT)
        await _send(send, status, "" if scope["method"] == "HEAD" else text, sent)

    return respond


async def _told(player: Player, method: str, path: str, headers: Headers) -> Told:
    try:
        if path in PAGES:
            return (HTTPStatus.OK, PAGES[path](player)) if method in ("GET", "HEAD") else _WRONG_METHOD
        deed = _deed(player, *path.removeprefix("/").split("/"))
        if method != "POST":
            return _WRONG_METHOD
        return _FOREIGN if is_foreign(headers) else (HTTPStatus.OK, await deed())
    except Nothing as error:
        return HTTPStatus.NOT_FOUND, f"{error}\n"
    except Refused as error:
        return HTTPStatus.CONFLICT, f"{error}\n"


def _deed(player: Player, of: str, what: str = "", scene: str = "", *rest: str) -> Deed:
    """What a path asks for. Raises Nothing."""
    if rest or (scene and of != "incidents"):
        raise Nothing("there is nothing of this name")
    if of == "incidents":
        return _incident(player, what, scene)
    if of not in player.agents:
        raise Nothing(f"there is no agent of this name, only {', '.join(player.agents)}")
    if what not in DEEDS:
        raise Nothing(f"that can not be done, only {', '.join(DEEDS)}")
    return partial(_done, player, of, what)


def _incident(player: Player, name: str, scene: str) -> Deed:
    if name not in INCIDENTS:
        raise Nothing(f"there is no incident of this name, only {', '.join(INCIDENTS)}")
    count = len(INCIDENTS[name].scenes)
    if scene and scene not in map(str, range(1, count + 1)):
        raise Nothing(f"{name} has the scenes 1 to {count}")
    return partial(_scene, player, name, int(scene)) if scene else partial(_whole, player, name)


async def _done(player: Player, name: str, what: str) -> str:
    await do(player.stage, name, what)
    world = player.stage.cluster.world
    return listing.agent_line(world, world.agents[name])


async def _scene(player: Player, name: str, number: int) -> str:
    await player.play_scene(INCIDENTS[name], number)
    return listing.course(player)


async def _whole(player: Player, name: str) -> str:
    player.play(INCIDENTS[name])
    return f"{name} is played; GET /incidents tells how far it is\n"


def is_foreign(headers: Headers) -> bool:
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


def _for_people(player: Player, exporter: str, method: str, told: Told) -> tuple[HTTPStatus, str, Headers]:
    """The page; after something was done, the way back to it, and else why it was not."""
    status, text = told
    if method == "POST" and status is HTTPStatus.OK:
        return HTTPStatus.SEE_OTHER, "", {**_TEXT, "location": "/"}
    world = player.stage.cluster.world
    agents = tuple(player.agents.values())
    shape = shape_of(player.agents)
    view = View(
        agents,
        frozenset(agent.name for agent in agents if listing.is_cut_off(world, agent)),
        [(incident, lacking(incident.needs, shape)) for incident in INCIDENTS.values()],
        player.course,
        player.plays,
        exporter,
        "" if status is HTTPStatus.OK else text,
    )
    return status, html(view), _HTML


async def _send(send: Send, status: HTTPStatus, text: str, headers: Headers) -> None:
    sent = {**headers, "cache-control": "no-store", "vary": "Accept"}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": pairs})
    await send({"type": "http.response.body", "body": text.encode()})
