"""Who is who: a server in the raft configuration, in gossip, and as an agent that we watch."""

from __future__ import annotations

from nomad_exporter.nomad.answers import AgentSelf, Member, RaftServer


def is_same(server: RaftServer, member: Member) -> bool:
    """Whether the member of gossip is this server of the raft configuration.

    Below raft protocol 3 the ID is the address. From 3 on the ID alone tells: a server whose disk was wiped comes back
    at its address as another one.
    """
    if server.id == server.address:
        return server.address == member.address
    return server.id == member.id


def own_server(own: AgentSelf) -> RaftServer | None:
    """The agent itself in its own raft configuration."""
    member = own.member
    if member is None:
        return None
    return next((server for server in own.configuration or () if is_same(server, member)), None)


def denies_vote(own: AgentSelf) -> bool:
    """Whether the agent tells a raft configuration in which it is no voter."""
    server = own_server(own)
    told = own.configuration is not None and own.member is not None
    return told and (server is None or server.suffrage != "Voter")
