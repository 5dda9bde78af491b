"""The demo's own page: who is there, and what can be done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from nomad_exporter.demo.model.agents import Agent, State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.stage import Stage
from nomad_exporter.serving.asgi import Application, Message, Receive, Send
from nomad_exporter.serving.listen import CannotListen

DEEDS: Mapping[str, tuple[Callable[[Cluster, str], None], frozenset[State]]] = {
    "kill": (lambda cluster, name: cluster.kill(name), frozenset({State.RUNNING, State.FROZEN})),
    "start": (lambda cluster, name: cluster.start(name), frozenset({State.DEAD})),
    "freeze": (lambda cluster, name: cluster.freeze(name), frozenset({State.RUNNING})),
    "thaw": (lambda cluster, name: cluster.thaw(name), frozenset({State.FROZEN})),
    "leave": (lambda cluster, name: cluster.leave(name), frozenset({State.RUNNING})),
    "cut": (lambda cluster, name: cluster.cut(name, cluster.world.agents), frozenset(State)),
    "heal": (lambda cluster, name: cluster.heal(name), frozenset(State)),
}
"""What can be done to an agent, and in which of its states. ``cut`` loses every packet between it and the others."""

_SERVERS_ONLY = frozenset({"leave"})
_WRONG_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, "GET the page, POST what is to be done\n")


def control(stage: Stage) -> Application:
    """``GET /`` lists the agents; ``POST /NAME/DEED`` does something to one, such as ``/s1.global/kill``."""

    async def respond(scope: Message, _: Receive, send: Send) -> None:
        await stage.turn()
        status, text = await _answer(stage, scope["method"], scope["path"])
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text.encode()})

    return respond


async def _answer(stage: Stage, method: str, path: str) -> tuple[int, str]:
    agents = stage.cluster.world.agents
    name, _, deed = path.removeprefix("/").rpartition("/")
    if path == "/":
        return (HTTPStatus.OK, _page(stage.cluster)) if method in ("GET", "HEAD") else _WRONG_METHOD
    if name not in agents:
        return HTTPStatus.NOT_FOUND, f"there is no agent of this name, only {', '.join(agents)}\n"
    if deed not in DEEDS:
        return HTTPStatus.NOT_FOUND, f"that can not be done, only {', '.join(DEEDS)}\n"
    return await _done(stage, name, deed) if method == "POST" else _WRONG_METHOD


async def _done(stage: Stage, name: str, deed: str) -> tuple[int, str]:
    """An agent whose port somebody else has taken meanwhile does not start."""
    do, states = DEEDS[deed]
    agent = stage.cluster.world.agents[name]
    if agent.state not in states:
        return HTTPStatus.CONFLICT, f"{name} is {agent.state.value}\n"
    if deed in _SERVERS_ONLY and agent.server is None:
        return HTTPStatus.CONFLICT, f"{name} is a client, and only a server can {deed}\n"
    do(stage.cluster, name)
    try:
        await stage.turn()
    except CannotListen as error:
        stage.cluster.kill(name)
        return HTTPStatus.CONFLICT, f"{error}\n"
    return HTTPStatus.OK, _line(stage.cluster, stage.cluster.world.agents[name])


def _page(cluster: Cluster) -> str:
    lines = "".join(_line(cluster, agent) for agent in cluster.world.agents.values())
    return f"{lines}\ncurl -X POST …/NAME/DEED, where DEED is one of {', '.join(DEEDS)}\n"


def _line(cluster: Cluster, agent: Agent) -> str:
    cut = sum(agent.name in pair for pair in cluster.world.cuts) == len(cluster.world.agents) - 1 > 0
    scheme = "https" if agent.setup.tls else "http"
    role = "client" if agent.server is None else agent.server.raft.state.lower() if agent.runs else "server"
    state = f"{agent.state.value}{', cut off' if cut else ''}"
    return f"{agent.name:12} {role:10} {state:10} {scheme}://{agent.setup.host}:{agent.setup.http}\n"
