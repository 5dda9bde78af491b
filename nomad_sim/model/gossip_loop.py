"""Run gossip rounds and autopilot, and apply the resulting changes to the Raft configuration and the nodes."""

from __future__ import annotations

from dataclasses import replace

from nomad_sim.model import gossip, nodes, raft, raft_loop
from nomad_sim.model.autopilot import Autopilot, Change, observe, reconcile, run
from nomad_sim.model.messages import LogMessage
from nomad_sim.model.network import Reach
from nomad_sim.model.raft_log import Peer
from nomad_sim.model.world import World


def start(world: World) -> None:
    """Start the recurring gossip rounds and autopilot runs."""
    world.schedule(world.now, lambda: _round(world))
    world.schedule(world.now + world.timing.autopilot_interval, lambda: _run_autopilot(world))


def finish_leave(world: World, name: str) -> None:
    """Mark a leaving server as left and propagate the status to every reachable server."""
    world.update_gossip(name, lambda known: gossip.with_status(known, name, gossip.LEFT, world.now))
    for other in sorted(world.gossip_reachable(name) - {name}):
        exchange(world, name, other)


def exchange(world: World, name: str, other: str) -> None:
    """Exchange the full gossip state between two servers (memberlist's push/pull)."""
    # ``name`` merges first, so ``other`` receives a refutation in the same exchange.
    theirs = world.server(other).gossip
    world.update_gossip(name, lambda known: gossip.merge(known, theirs, world.now))
    mine = world.server(name).gossip
    world.update_gossip(other, lambda known: gossip.merge(known, mine, world.now))


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
    """Probe all members of a server, then exchange states with a random reachable server."""
    reachable = world.gossip_reachable(name)
    world.update_gossip(name, lambda known: gossip.probe(known, reachable, world.now, world.timing, world.draw))
    others = sorted(reachable - {name})
    if others:
        exchange(world, name, world.rng.choice(others))


def _bootstrap(world: World, name: str) -> None:
    """Bootstrap the cluster when ``bootstrap_expect`` servers know and reach each other and none has a log."""
    setup = world.agents[name].setup
    alive = [member.setup for member in world.server(name).gossip.alive(setup.region)]
    if not setup.bootstrap_expect or not all(_has_no_log(world, name, other.member) for other in alive):
        return
    voters = [other for other in alive if other.bootstrap_expect and not other.nonvoter]
    if len(voters) >= setup.bootstrap_expect:
        peers = tuple(Peer(voter.raft_id, voter.rpc_address) for voter in voters)
        for voter in voters:
            server = world.server(voter.member)
            world.put_server(voter.member, replace(server, raft=raft.bootstrap(server.raft, peers)))


def _has_no_log(world: World, name: str, other: str) -> bool:
    return world.reach(name, other) is Reach.CONNECTED and not world.server(other).raft.log.last


def _observe(world: World, name: str) -> None:
    """Update autopilot's view on a leader; reset it on any other server."""
    server = world.server(name)
    observed = observe(server.autopilot, server.raft, server.gossip, world.now) if server.is_leader else Autopilot()
    if observed != server.autopilot:
        world.put_server(name, replace(server, autopilot=observed))


def _reconcile(world: World, name: str) -> None:
    """Reconcile the leader's Raft configuration with gossip, and mark nodes with an expired TTL as down."""
    server = world.server(name)
    if raft.can_change_peers(server.raft):
        _apply_change(world, name, reconcile(server.raft, server.gossip))
    _expire_nodes(world, name)


def _run_autopilot(world: World) -> None:
    """Run autopilot on every leader, and schedule the next run."""
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
        world.update_gossip(name, lambda known: gossip.force_leave(known, member, world.now))


def _expire_nodes(world: World, name: str) -> None:
    region = world.agents[name].setup.region
    expired = nodes.expired(world.nodes[region], world.now, world.server(name).autopilot.leader_since, world.timing)
    if expired:
        world.log(
            name, "nomad.heartbeat", [LogMessage("warn", "node TTL expired", (("node_id", node),)) for node in expired]
        )
        index = raft_loop.propose(world, name, len(expired))
        world.put_nodes(region, nodes.mark_down(world.nodes[region], expired, index))
