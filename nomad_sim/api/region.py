"""The state of a region: its leader, raft peers, client nodes and autopilot health."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nomad_sim import go
from nomad_sim.api.forwarding import RpcError, route_to, route_to_leader
from nomad_sim.api.http import JSON, ApiRequest, ApiResponse, Pending, error_response, json_response
from nomad_sim.model.agents import Agent
from nomad_sim.model.autopilot import is_healthy, member_of
from nomad_sim.model.nodes import READY, Node
from nomad_sim.model.raft_log import VOTER, Peer
from nomad_sim.model.world import World

NODE_PREFIX = "/v1/node/"

NEVER = "0001-01-01T00:00:00Z"


def status_leader(world: World, agent: Agent, request: ApiRequest) -> ApiResponse | Pending:
    """Return the RPC address of the leader; an empty string if the server knows none."""
    target = route_to(world, agent, request)
    if not isinstance(target, Agent):
        return _error_reply(agent, target)
    leader = world.leader_of(target.name)
    return json_response(leader.setup.rpc_address if leader else "", request)


def status_peers(world: World, agent: Agent, request: ApiRequest) -> ApiResponse | Pending:
    """Return the addresses of all servers in the raft configuration."""
    target = route_to(world, agent, request)
    if not isinstance(target, Agent):
        return _error_reply(agent, target)
    return json_response([peer.address for peer in world.server(target.name).raft.log.configuration.peers], request)


def list_nodes(world: World, agent: Agent, request: ApiRequest) -> ApiResponse | Pending:
    """Return the client nodes of the region whose ID starts with ``prefix``."""
    target = route_to(world, agent, request)
    if not isinstance(target, Agent):
        return _error_reply(agent, target)
    nodes = world.nodes[target.setup.region]
    selected = [nodes[id_] for id_ in sorted(nodes) if id_.startswith(request.first("prefix"))]
    response = json_response([_node_stub(node) for node in selected], request)
    return replace(response, headers=_query_headers(world, target, selected))


def read_node(world: World, agent: Agent, request: ApiRequest) -> ApiResponse | Pending:
    """Return the client node whose ID follows ``NODE_PREFIX`` in the path."""
    target = route_to(world, agent, request)
    if not isinstance(target, Agent):
        return _error_reply(agent, target)
    node = world.nodes[target.setup.region].get(request.path.removeprefix(NODE_PREFIX))
    if node is None:
        return error_response(agent.setup.version, 404, "node not found")
    return replace(json_response(_node(node), request), headers=_query_headers(world, target, [node]))


def _query_headers(world: World, server: Agent, nodes: Sequence[Node]) -> dict[str, str]:
    return {
        "X-Nomad-Index": str(max((node.modify_index for node in nodes), default=1)),
        "X-Nomad-Knownleader": "true" if world.leader_of(server.name) else "false",
        "X-Nomad-Lastcontact": "0",
    }


def autopilot_health(world: World, agent: Agent, request: ApiRequest) -> ApiResponse | Pending:
    """Return the health of each server according to the leader; the status is 429 unless all are healthy."""
    target = route_to_leader(world, agent, request)
    if not isinstance(target, Agent):
        return _error_reply(agent, target)
    peers = world.server(target.name).raft.log.configuration.peers
    servers = [_server_health(world, target, peer) for peer in peers]
    healthy = all(server["Healthy"] for server in servers)
    voters = sum(server["Voter"] for server in servers)
    healthy_voters = sum(server["Voter"] and server["Healthy"] for server in servers)
    body: dict[str, Any] = {"FailureTolerance": max(0, healthy_voters - voters // 2 - 1), "Healthy": healthy}
    if agent.setup.version.autopilot_leader:
        body |= {"Leader": target.setup.raft_id, "Voters": [server["ID"] for server in servers if server["Voter"]]}
    response = json_response({**body, "Servers": servers}, request)
    if healthy:
        return response
    return ApiResponse(429, response.body, JSON if agent.setup.version.unhealthy_has_content_type else None)


def _error_reply(agent: Agent, target: RpcError | Pending) -> ApiResponse | Pending:
    return target if isinstance(target, Pending) else error_response(agent.setup.version, 500, target.text)


def _server_health(world: World, leader: Agent, peer: Peer) -> dict[str, Any]:
    server = world.server(leader.name)
    known = member_of(server.gossip, peer)
    since = server.autopilot.healthy_since.get(peer.id)
    return {
        "ID": peer.id,
        "Name": known.setup.member if known else "(unknown)",
        "Address": peer.address,
        "SerfStatus": known.status if known else "none",
        "Version": known.setup.version.build if known else "",
        "Leader": peer.id == server.raft.local_id,
        "LastContact": _last_contact(world, leader, peer),
        "LastTerm": server.raft.term,
        "LastIndex": server.raft.peers[peer.id].match_index if peer.id in server.raft.peers else server.raft.log.last,
        "Healthy": is_healthy(server.raft, server.gossip, peer),
        "Voter": peer.suffrage == VOTER,
        "StableSince": NEVER if since is None else go.rfc3339(since),
    }


def _last_contact(world: World, leader: Agent, peer: Peer) -> str:
    """Return the time since the last contact as autopilot reports it: ``0s`` for the leader, ``-1ns`` if unknown."""
    server = world.server(leader.name)
    if peer.id == server.raft.local_id:
        return "0s"
    last_contact = server.raft.peers[peer.id].last_contact if peer.id in server.raft.peers else -math.inf
    responds = (
        is_healthy(server.raft, server.gossip, peer) or world.now - last_contact <= world.timing.leader_lease_timeout
    )
    return go.duration(min(world.now - last_contact, world.timing.heartbeat_interval[1]) if responds else -1e-9)


def _node(node: Node) -> dict[str, Any]:
    """Return the node as ``GET /v1/node/:node_id`` does, without the resources and the fingerprints."""
    setup = node.setup
    stub = {key: value for key, value in _node_stub(node).items() if key not in ("Address", "Version", "Drain")}
    attributes = {
        "kernel.name": "linux",
        "nomad.version": setup.version.build,
        "unique.hostname": setup.name,
        "unique.network.ip-address": setup.host,
    }
    return {
        **stub,
        "Attributes": attributes,
        "DrainStrategy": None,
        "HTTPAddr": go.join_host_port(setup.host, setup.http),
        "Links": {},
        "Meta": {},
        "SecretID": "",
        "TLSEnabled": setup.tls is not None,
    }


def _node_stub(node: Node) -> dict[str, Any]:
    setup = node.setup
    ready = node.status == READY
    stub = {
        "Address": setup.host,
        "ID": setup.id,
        "Datacenter": setup.datacenter,
        "Name": setup.name,
        "NodeClass": "",
        "Version": setup.version.build,
        "Drain": False,
        "SchedulingEligibility": "eligible",
        "Status": node.status,
        "StatusDescription": "" if ready else "node TTL expired",
        "Drivers": {"raw_exec": {"Attributes": {"driver.raw_exec": "true"}, "Detected": True, "Healthy": ready}},
        "HostVolumes": None,
        "LastDrain": None,
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    }
    return {**stub, **({"NodePool": "default"} if setup.version.node_pools else {})}
