"""The demo's own page: who is there, and what can be done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from nomad_exporter.demo.model.agents import Agent, State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.stage import Stage
from nomad_exporter.serving.asgi import Application, Message, Receive, Send

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


def control(stage: Stage) -> Application:
    """``GET /`` lists the agents; ``POST /NAME/DEED`` does something to one, such as ``/s1.global/kill``."""

    async def respond(scope: Message, _: Receive, send: Send) -> None:
        await stage.turn()
        status, text = _answer(stage.cluster, scope["method"], scope["path"])
        await stage.turn()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text.encode()})

    return respond


def _answer(cluster: Cluster, method: str, path: str) -> tuple[int, str]:
    if path == "/":
        return (
            (HTTPStatus.OK, _page(cluster)) if method in ("GET", "HEAD") else (HTTPStatus.METHOD_NOT_ALLOWED, "GET\n")
        )
    name, _, deed = path.removeprefix("/").rpartition("/")
    if name not in cluster.world.agents or deed not in DEEDS:
        return HTTPStatus.NOT_FOUND, f"there is no such agent, or it is none of {', '.join(DEEDS)}\n"
    return _done(cluster, name, deed) if method == "POST" else (HTTPStatus.METHOD_NOT_ALLOWED, "POST\n")


def _done(cluster: Cluster, name: str, deed: str) -> tuple[int, str]:
    do, states = DEEDS[deed]
    agent = cluster.world.agents[name]
    if agent.state not in states or (deed in _SERVERS_ONLY and agent.server is None):
        return HTTPStatus.CONFLICT, f"{name} is {agent.state.value}\n"
    do(cluster, name)
    return HTTPStatus.OK, _line(cluster, cluster.world.agents[name])


def _page(cluster: Cluster) -> str:
    lines = "".join(_line(cluster, agent) for agent in cluster.world.agents.values())
    return f"{lines}\ncurl -X POST …/NAME/DEED, where DEED is one of {', '.join(DEEDS)}\n"


def _line(cluster: Cluster, agent: Agent) -> str:
    cut = sum(agent.name in pair for pair in cluster.world.cuts) == len(cluster.world.agents) - 1 > 0
    scheme = "https" if agent.setup.tls else "http"
    role = agent.server.raft.state.lower() if agent.server else "client"
    state = f"{agent.state.value}{', cut off' if cut else ''}"
    return f"{agent.name:12} {role:10} {state:10} {scheme}://{agent.setup.host}:{agent.setup.http}\n"
