"""What can be done to the agents: one table, for people on the demo's own page and for the incidents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nomad_exporter.demo.model.agents import Agent, State
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.stage import Stage
from nomad_exporter.demo.versions import VERSIONS
from nomad_exporter.serving.listen import CannotListen

OLDER = VERSIONS["1.10"]
"""What an agent runs after ``downgrade``."""

TOKEN = "monitoring"  # noqa: S105  # its name, not its secret
"""The token that the exporter shows."""


class Refused(Exception):
    """It cannot be done as things are; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that can be done to an agent in one of these states; to a ``server``, or one with ``tls``, alone."""

    do: Callable[[Stage, str], Awaitable[None]]
    states: frozenset[State] = field(default_factory=lambda: frozenset(State))
    server: bool = False
    tls: bool = False


def _of_cluster(do: Callable[[Cluster, str], None]) -> Callable[[Stage, str], Awaitable[None]]:
    async def done(stage: Stage, name: str) -> None:
        do(stage.cluster, name)

    return done


_LIVING = frozenset({State.RUNNING, State.FROZEN})
_RUNNING = frozenset({State.RUNNING})

DEEDS: Mapping[str, Deed] = {
    "kill": Deed(_of_cluster(Cluster.kill), _LIVING),
    "start": Deed(_of_cluster(Cluster.start), frozenset({State.DEAD})),
    "freeze": Deed(_of_cluster(Cluster.freeze), _RUNNING),
    "thaw": Deed(_of_cluster(Cluster.thaw), frozenset({State.FROZEN})),
    "leave": Deed(_of_cluster(Cluster.leave), _RUNNING, server=True),
    "cut": Deed(_of_cluster(lambda cluster, name: cluster.cut(name, cluster.world.agents))),
    "heal": Deed(_of_cluster(Cluster.heal)),
    "expire": Deed(Stage.expire, _LIVING, tls=True),
    "renew": Deed(Stage.renew, _LIVING, tls=True),
    "downgrade": Deed(lambda stage, name: stage.restart(name, version=OLDER), _LIVING),
    "decrypt": Deed(lambda stage, name: stage.restart(name, encrypted=False), _LIVING, server=True),
    "restart": Deed(Stage.restart, _LIVING),
    "remove": Deed(Stage.remove),
}
"""By name. ``cut`` loses every packet between an agent and the others; ``expire`` lets its certificate expire,
``decrypt`` restarts it without the key of gossip, ``downgrade`` with an older version, ``restart`` as it was at first;
``remove`` kills it for good."""

OF_ALL: Mapping[str, Callable[[Stage], None]] = {
    "revoke": lambda stage: stage.revoke(TOKEN),
    "restore": lambda stage: stage.restore(TOKEN),
}
"""What can be done to the cluster as a whole: the exporter's token is revoked, and known again."""


def possible(agent: Agent) -> list[str]:
    """The deeds that can be done to an agent now."""
    return [name for name in DEEDS if not _objection(agent, name)]


async def do(stage: Stage, name: str, what: str) -> None:
    """Does ``what`` to the agent ``name``. Raises Refused, also where its port was taken meanwhile."""
    objection = _objection(stage.cluster.world.agents[name], what)
    if objection:
        raise Refused(objection)
    try:
        await DEEDS[what].do(stage, name)
        await stage.turn()
    except CannotListen as error:
        stage.cluster.kill(name)
        raise Refused(str(error)) from None


def do_to_all(stage: Stage, what: str) -> None:
    """Does something to the cluster as a whole. Raises Refused."""
    try:
        OF_ALL[what](stage)
    except LookupError:
        raise Refused("the cluster has no access control") from None


def _objection(agent: Agent, what: str) -> str:
    deed = DEEDS[what]
    if agent.state not in deed.states:
        return f"{agent.name} is {agent.state.value}"
    if deed.server and agent.server is None:
        return f"{agent.name} is a client, and only a server can {what}"
    return f"{agent.name} serves no HTTPS" if deed.tls and agent.setup.tls is None else ""
