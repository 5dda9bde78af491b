"""What can be done to the agents: one table, for people on the demo's own page and for the incidents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nomad_sim.model.agents import Agent, State
from nomad_sim.model.cluster import Cluster
from nomad_sim.runtime import ClusterServer
from nomad_sim.sockets import ListenError
from nomad_sim.versions import VERSIONS

OLDER_VERSION = VERSIONS["1.10"]
"""What an agent runs after ``downgrade``."""

EXPORTER_TOKEN = "monitoring"  # noqa: S105  # its name, not its secret
"""The token that the exporter shows."""


class ConflictError(Exception):
    """It cannot be done as things are; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault or its repair: how to apply it to an agent, and the agents that it applies to.

    ``server_only`` and ``tls_only`` restrict it to servers and to agents that serve HTTPS.
    """

    apply: Callable[[ClusterServer, str], Awaitable[None]]
    states: frozenset[State] = field(default_factory=lambda: frozenset(State))
    server_only: bool = False
    tls_only: bool = False


def _cluster_method(inject: Callable[[Cluster, str], None]) -> Callable[[ClusterServer, str], Awaitable[None]]:
    async def apply(server: ClusterServer, name: str) -> None:
        inject(server.cluster, name)

    return apply


_ALIVE = frozenset({State.RUNNING, State.PAUSED})
_RUNNING = frozenset({State.RUNNING})

FAULTS: Mapping[str, Fault] = {
    "kill": Fault(_cluster_method(Cluster.kill), _ALIVE),
    "start": Fault(_cluster_method(Cluster.start), frozenset({State.DEAD})),
    "pause": Fault(_cluster_method(Cluster.pause), _RUNNING),
    "resume": Fault(_cluster_method(Cluster.resume), frozenset({State.PAUSED})),
    "leave": Fault(_cluster_method(Cluster.leave), _RUNNING, server_only=True),
    "partition": Fault(_cluster_method(lambda cluster, name: cluster.partition(name, cluster.world.agents))),
    "heal": Fault(_cluster_method(Cluster.heal)),
    "expire-certificate": Fault(ClusterServer.expire_certificate, _ALIVE, tls_only=True),
    "renew-certificate": Fault(ClusterServer.renew_certificate, _ALIVE, tls_only=True),
    "downgrade": Fault(lambda server, name: server.restart(name, version=OLDER_VERSION), _ALIVE),
    "disable-gossip-encryption": Fault(
        lambda server, name: server.restart(name, encrypted=False), _ALIVE, server_only=True
    ),
    "restart": Fault(ClusterServer.restart, _ALIVE),
    "remove": Fault(ClusterServer.remove),
}
"""Faults and their repairs by name.

``partition`` drops all packets between an agent and the others. ``disable-gossip-encryption`` restarts an agent without
the gossip key, ``downgrade`` with an older version, ``restart`` with its initial setup. ``remove`` kills it for good.
"""

CLUSTER_FAULTS: Mapping[str, Callable[[ClusterServer], None]] = {
    "revoke": lambda server: server.revoke_token(EXPORTER_TOKEN),
    "restore": lambda server: server.restore_token(EXPORTER_TOKEN),
}
"""What can be done to the cluster as a whole: the exporter's token is revoked, and known again."""


def available_faults(agent: Agent) -> list[str]:
    """The deeds that can be done to an agent now."""
    return [name for name in FAULTS if not _conflict(agent, name)]


async def inject(server: ClusterServer, name: str, fault_name: str) -> None:
    """Does ``fault_name`` to the agent ``name``. Raises ConflictError, also where its port was taken meanwhile."""
    conflict = _conflict(server.cluster.world.agents[name], fault_name)
    if conflict:
        raise ConflictError(conflict)
    try:
        await FAULTS[fault_name].apply(server, name)
        await server.tick()
    except ListenError as error:
        server.cluster.kill(name)
        raise ConflictError(str(error)) from None


def inject_cluster_fault(server: ClusterServer, fault_name: str) -> None:
    """Does something to the cluster as a whole. Raises ConflictError."""
    try:
        CLUSTER_FAULTS[fault_name](server)
    except LookupError:
        raise ConflictError("the cluster has no access control") from None


def _conflict(agent: Agent, fault_name: str) -> str:
    fault = FAULTS[fault_name]
    if agent.state not in fault.states:
        return f"{agent.name} is {agent.state.value}"
    if fault.server_only and agent.server is None:
        return f"{agent.name} is a client, and {fault_name} is for servers only"
    return f"{agent.name} serves no HTTPS" if fault.tls_only and agent.setup.tls is None else ""
