"""The families that an answer to ``/v1/agent/members`` fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nomad_exporter.metrics.family import Family, Sample, states
from nomad_exporter.nomad.models import MEMBER_STATUSES, Member, Members


def _by_region_and_status(answer: Members) -> Iterable[Sample]:
    tally = Counter((member.region, member.status) for member in answer.members)
    regions = sorted({member.region for member in answer.members})
    return [((region, status), tally[region, status]) for region in regions for status in MEMBER_STATUSES]


def _status(answer: Members) -> Iterable[Sample]:
    return [
        ((member.name, *state), value)
        for member in answer.members
        for state, value in states(member.status or None, MEMBER_STATUSES)
    ]


def _info(member: Member) -> tuple[str, ...]:
    protocol, delegate = (str(n) if n is not None else "" for n in (member.protocol, member.delegate))
    return (
        member.name,
        member.id,
        member.address,
        member.region,
        member.datacenter,
        member.build,
        member.raft_version,
        protocol,
        delegate,
    )


MEMBERS: tuple[Family[Members], ...] = (
    Family(
        "nomad_agent_members",
        "Servers in this server's view of gossip.",
        "members: Status, Tags.region",
        _by_region_and_status,
        ("nomad_region", "status"),
    ),
    Family(
        "nomad_agent_member_status",
        "1 for the status of the member in this server's view of gossip.",
        "members: Status",
        _status,
        ("member", "status"),
    ),
    Family(
        "nomad_agent_member_info",
        "What gossip tells of the member; address is that of its RPC, as raft has it.",
        "members: Name, Addr, Tags, ProtocolCur, DelegateCur",
        lambda answer: [(_info(member), 1) for member in answer.members],
        ("member", "id", "address", "nomad_region", "datacenter", "build", "raft_version", "protocol", "delegate"),
    ),
)
