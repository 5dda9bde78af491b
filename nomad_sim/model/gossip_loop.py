"""The rounds of gossip, and what the servers and their leader do about what they hear."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.model import gossip, nodes, raft, raft_loop
from nomad_sim.model.autopilot import Autopilot, Change, observe, reconcile, run
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.network import Reach
from nomad_sim.model.raft_log import Peer
from nomad_sim.model.world import World


def start(world: World) -> None:
    """Lets the rounds go on for ever."""
    world.schedule(world.now, lambda: _round(world))
    world.schedule(world.now + world.timing.autopilot_interval, lambda: _run_autopilot(world))


def finish_leave(world: World, name: str) -> None:
    """A server that was leaving has left; whom it hears learns of it at once."""
    world.gossip(name, lambda known: gossip.with_status(known, name, gossip.LEFT, world.now))
    for other in sorted(world.gossip_reachable(name) - {name}):
        exchange(world, name, other)


def exchange(world: World, name: str, other: str) -> None:
    """Two servers tell each other whom they know; what ``name`` objects to, ``other`` learns at once."""
    theirs = world.server(other).gossip
    world.gossip(name, lambda known: gossip.merge(known, theirs, world.now))
    mine = world.server(name).gossip
    world.gossip(other, lambda known: gossip.merge(known, mine, world.now))


def _round(world: World) -> None:
    running = world.running()
    for name in running:
        _probe(world, name)
    for name in running:
        _bootstrap(world, name)
    for name in running:
        _observe(world, name)
        if world.server(name).is_leader:
            _reconcile(world, name)
    world.schedule(world.now + world.timing.gossip_interval, lambda: _round(world))


def _probe(world: World, name: str) -> None:
    """A server hears who is there, and talks with one of them."""
    reachable = world.gossip_reachable(name)
    world.gossip(name, lambda known: gossip.probe(known, reachable, world.now, world.timing, world.draw))
    others = sorted(reachable - {name})
    if others:
        exchange(world, name, world.rng.choice(others))


def _bootstrap(world: World, name: str) -> None:
    """As many servers as were expected, who know and reach each other and have no log, begin a cluster together."""
    setup = world.agents[name].setup
    known = [member.setup for member in world.server(name).gossip.alive(setup.region)]
    if not setup.bootstrap_expect or not all(_has_no_log(world, name, one.member) for one in known):
        return
    expecting = [one for one in known if one.bootstrap_expect and not one.nonvoter]
    if len(expecting) >= setup.bootstrap_expect:
        peers = tuple(Peer(one.raft_id, one.rpc_address) for one in expecting)
        for one in expecting:
            server = world.server(one.member)
            world.put_server(one.member, replace(server, raft=raft.bootstrap(server.raft, peers)))


def _has_no_log(world: World, name: str, other: str) -> bool:
    return world.reach(name, other) is Reach.CONNECTED and not world.server(other).raft.log.last


def _observe(world: World, name: str) -> None:
    """A leader looks at the servers; another forgets what it saw when it led."""
    server = world.server(name)
    observed = observe(server.autopilot, server.raft, server.gossip, world.now) if server.is_leader else Autopilot()
    if observed != server.autopilot:
        world.put_server(name, replace(server, autopilot=observed))


def _reconcile(world: World, name: str) -> None:
    """A leader follows what gossip says of the servers, and counts the clients that are overdue."""
    server = world.server(name)
    if raft.can_change_peers(server.raft):
        _apply_change(world, name, reconcile(server.raft, server.gossip))
    _expire_nodes(world, name)


def _run_autopilot(world: World) -> None:
    """Autopilot's time has come."""
    for name in world.running():
        server = world.server(name)
        if raft.can_change_peers(server.raft):
            _apply_change(world, name, run(server.autopilot, server.raft, server.gossip, world.now, world.timing))
    world.schedule(world.now + world.timing.autopilot_interval, lambda: _run_autopilot(world))


def _apply_change(world: World, name: str, change: Change | None) -> None:
    if change is None:
        return
    world.log(name, "nomad.autopilot", (LogMessage("info", change.reason),))
    raft_loop.propose(world, name, peers=change.peers)
    member = change.left_member
    if member:
        world.gossip(name, lambda known: gossip.force_leave(known, member, world.now))


def _expire_nodes(world: World, name: str) -> None:
    region = world.agents[name].setup.region
    late = nodes.expired(world.nodes[region], world.now, world.server(name).autopilot.leader_since, world.timing)
    if late:
        world.log(
            name, "nomad.heartbeat", [LogMessage("warn", "node TTL expired", (("node_id", node),)) for node in late]
        )
        world.put_nodes(region, nodes.mark_down(world.nodes[region], late, raft_loop.propose(world, name, len(late))))
