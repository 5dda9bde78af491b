"""Families filled by an answer to ``/v1/agent/members``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nomad_exporter.metrics.family import Family, Sample, states
from nomad_exporter.nomad.models import MEMBER_STATUSES, Member, Members
from nomad_exporter.nomad.sources.members import REGIONS_LIMIT


def _count_by_region_and_status(answer: Members) -> Iterable[Sample]:
    tally = Counter((member.region, member.status) for member in answer.members)
    regions = sorted({member.region for member in answer.members})[:REGIONS_LIMIT]
    return [((region, status), tally[region, status]) for region in regions for status in MEMBER_STATUSES]


def _statuses(answer: Members) -> Iterable[Sample]:
    return [
        ((member.name, *status), value)
        for member in answer.members
        for status, value in states(member.status or None, MEMBER_STATUSES)
    ]


def _info(member: Member) -> tuple[str, ...]:
    return (
        member.name,
        member.id,
        member.address,
        member.region,
        member.datacenter,
        member.build,
        member.raft_version,
        _text(member.protocol),
        _text(member.delegate),
    )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


FAMILIES: tuple[Family[Members], ...] = (
    Family(
        "nomad_agent_members",
        "Servers known to this server through gossip, by region and status.",
        "members: Status, Tags.region",
        _count_by_region_and_status,
        ("nomad_region", "status"),
    ),
    Family(
        "nomad_agent_member_status",
        "Gossip status of the member: 1 for the current status, 0 for the others.",
        "members: Status",
        _statuses,
        ("member", "status"),
    ),
    Family(
        "nomad_agent_member_info",
        "Gossip metadata of the member; address is its RPC address.",
        "members: Name, Addr, Tags, ProtocolCur, DelegateCur",
        lambda answer: [(_info(member), 1) for member in answer.members],
        ("member", "id", "address", "nomad_region", "datacenter", "build", "raft_version", "protocol", "delegate"),
    ),
)
