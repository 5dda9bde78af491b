"""The rounds of gossip, and what the servers and their leader do about what they hear."""

from __future__ import annotations

from dataclasses import replace

from nomad_exporter.demo.model import gossip, nodes, raft, rafts
from nomad_exporter.demo.model.autopilot import Autopilot, Change, looked, reconciled, tended
from nomad_exporter.demo.model.log import Peer
from nomad_exporter.demo.model.messages import Said
from nomad_exporter.demo.model.network import Reach
from nomad_exporter.demo.model.world import World


def begun(world: World) -> None:
    """Lets the rounds go on for ever."""
    world.at(world.now, lambda: _round(world))
    world.at(world.now + world.timing.autopilot, lambda: _tend(world))


def left(world: World, name: str) -> None:
    """A server that was leaving has left; whom it hears learns of it at once."""
    world.gossip(name, lambda known: gossip.with_status(known, name, gossip.LEFT, world.now))
    for other in sorted(world.heard(name) - {name}):
        exchanged(world, name, other)


def exchanged(world: World, name: str, other: str) -> None:
    """Two servers tell each other whom they know; what ``name`` objects to, ``other`` learns at once."""
    theirs = world.server(other).gossip
    world.gossip(name, lambda known: gossip.told(known, theirs, world.now))
    mine = world.server(name).gossip
    world.gossip(other, lambda known: gossip.told(known, mine, world.now))


def _round(world: World) -> None:
    running = world.running()
    for name in running:
        _listen(world, name)
    for name in running:
        _bootstrap(world, name)
    for name in running:
        _look(world, name)
        if world.server(name).leads:
            _lead(world, name)
    world.at(world.now + world.timing.gossip, lambda: _round(world))


def _listen(world: World, name: str) -> None:
    """A server hears who is there, and talks with one of them."""
    heard = world.heard(name)
    world.gossip(name, lambda known: gossip.listened(known, heard, world.now, world.timing, world.draw))
    others = sorted(heard - {name})
    if others:
        exchanged(world, name, world.chance.choice(others))


def _bootstrap(world: World, name: str) -> None:
    """As many servers as were expected, who know and reach each other and have no log, begin a cluster together."""
    setup = world.agents[name].setup
    known = [member.setup for member in world.server(name).gossip.alive(setup.region)]
    if not setup.bootstrap_expect or not all(_is_new(world, name, one.member) for one in known):
        return
    expecting = [one for one in known if one.bootstrap_expect and not one.nonvoter]
    if len(expecting) >= setup.bootstrap_expect:
        peers = tuple(Peer(one.raft_id, one.rpc_address) for one in expecting)
        for one in expecting:
            server = world.server(one.member)
            world.put_server(one.member, replace(server, raft=raft.bootstrapped(server.raft, peers)))


def _is_new(world: World, name: str, other: str) -> bool:
    return world.reach(name, other) is Reach.ANSWERED and not world.server(other).raft.log.last


def _look(world: World, name: str) -> None:
    """A leader looks at the servers; another forgets what it saw when it led."""
    server = world.server(name)
    seen = looked(server.autopilot, server.raft, server.gossip, world.now) if server.leads else Autopilot()
    if seen != server.autopilot:
        world.put_server(name, replace(server, autopilot=seen))


def _lead(world: World, name: str) -> None:
    """A leader follows what gossip says of the servers, and counts the clients that are overdue."""
    server = world.server(name)
    if raft.settled(server.raft):
        _change(world, name, reconciled(server.raft, server.gossip))
    _take_down(world, name)


def _tend(world: World) -> None:
    """Autopilot's time has come."""
    for name in world.running():
        server = world.server(name)
        if raft.settled(server.raft):
            _change(world, name, tended(server.autopilot, server.raft, server.gossip, world.now, world.timing))
    world.at(world.now + world.timing.autopilot, lambda: _tend(world))


def _change(world: World, name: str, change: Change | None) -> None:
    if change is None:
        return
    world.say(name, "nomad.autopilot", (Said("info", change.why),))
    rafts.proposed(world, name, peers=change.peers)
    member = change.left
    if member:
        world.gossip(name, lambda known: gossip.force_left(known, member, world.now))


def _take_down(world: World, name: str) -> None:
    region = world.agents[name].setup.region
    late = nodes.overdue(world.nodes[region], world.now, world.server(name).autopilot.led, world.timing)
    if late:
        world.say(name, "nomad.heartbeat", [Said("warn", "node TTL expired", (("node_id", node),)) for node in late])
        world.put_nodes(region, nodes.down(world.nodes[region], late, rafts.proposed(world, name, len(late))))
