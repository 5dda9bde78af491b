"""The source ``members``: the servers in gossip. The source ``self`` has one of these members, too."""

from __future__ import annotations

import msgspec
from msgspec.json import Decoder

from nomad_exporter.nomad.lenient import INTEGER, OBJECT, LenientDecoder, TooMany
from nomad_exporter.nomad.models import MEMBER_STATUSES, Member, Members, Role
from nomad_exporter.nomad.sources.source import MIB, Reply, Source

MEMBERS_LIMIT = 500
"""Maximum number of members; a large federation has about a hundred servers. The others are left out."""

LISTED_LIMIT = 2000
"""Maximum number of members that an answer lists. A longer answer is rejected."""

REGIONS_LIMIT = 100
"""Maximum number of regions whose members are counted; a region has three servers or more."""


class _Body(msgspec.Struct, rename="pascal"):
    members: list[msgspec.Raw]


class _Member(msgspec.Struct, rename="pascal"):
    name: msgspec.Raw = msgspec.Raw()
    addr: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    tags: msgspec.Raw = msgspec.Raw()
    protocol_cur: msgspec.Raw = msgspec.Raw()
    delegate_cur: msgspec.Raw = msgspec.Raw()


_BODY = Decoder(_Body)
_MEMBER = Decoder(_Member)


def decode(reply: Reply) -> Members:
    """Decode a reply, with the members sorted by name.

    If there are more than ``MEMBERS_LIMIT`` members, those that are alive come first. Raises ValueError or a msgspec
    error if the body has no list of members, and TooMany for more than ``LISTED_LIMIT`` members.
    """
    # An agent that is stopping returns null for the list. That is rejected too: it says nothing about the members.
    raw_members = _BODY.decode(reply.body).members
    if len(raw_members) > LISTED_LIMIT:
        raise TooMany(f"more than {LISTED_LIMIT} members")
    decoder = LenientDecoder()
    members: dict[str, Member] = {}
    for raw in raw_members:
        member = decode_member(raw, decoder, "Members[]")
        if member is None or member.name in members:
            decoder.mark_invalid("Members[]")
        else:
            members[member.name] = member
    selected = sorted(members.values(), key=lambda member: (member.status != "alive", member.name))[:MEMBERS_LIMIT]
    selected.sort(key=lambda member: member.name)
    omitted = {
        "members": len(members) - len(selected),
        "regions": len({member.region for member in selected}) - REGIONS_LIMIT,
    }
    return Members(
        tuple(selected),
        tuple(decoder.invalid_fields),
        {item: number for item, number in omitted.items() if number > 0},
    )


def decode_member(raw: msgspec.Raw, decoder: LenientDecoder, field: str) -> Member | None:
    """Decode one member; None if it has no name, as in ``self`` of an agent that is only a client."""
    fields = decoder.read(raw, _MEMBER, field) or _Member()
    name = decoder.text(fields.name, f"{field}.Name")
    if not name:
        return None
    tags = decoder.read(fields.tags, OBJECT, f"{field}.Tags") or {}

    def tag(key: str) -> str:
        return decoder.text(tags.get(key, msgspec.Raw()), f"{field}.Tags.{key}")

    return Member(
        name=name,
        status=_decode_status(fields.status, decoder, f"{field}.Status"),
        id=tag("id"),
        address=_rpc_address(decoder.text(fields.addr, f"{field}.Addr"), tag("port")),
        region=tag("region"),
        datacenter=tag("dc"),
        build=tag("build"),
        raft_version=tag("raft_vsn"),
        protocol=decoder.read(fields.protocol_cur, INTEGER, f"{field}.ProtocolCur"),
        delegate=decoder.read(fields.delegate_cur, INTEGER, f"{field}.DelegateCur"),
        expect=tag("expect"),
        nonvoter=bool(tag("nonvoter") or tag("ap_zone")),
    )


def _decode_status(raw: msgspec.Raw, decoder: LenientDecoder, field: str) -> str:
    status = decoder.text(raw, field)
    if status in MEMBER_STATUSES:
        return status
    decoder.mark_invalid(field)
    return ""


def _rpc_address(host: str, port: str) -> str:
    """Return ``host:port`` in raft's notation; empty if either is empty."""
    # The port is the tag ``port``, which is that of RPC; the field ``Port`` of a member is gossip's.
    if not (host and port):
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


MEMBERS = Source(
    name="members",
    path="/v1/agent/members",
    decode=decode,
    body_limit=2 * MIB,  # An answer with 2000 members has 1.2 MB.
    permission="node:read",
    verdicts=("quorum",),
    # A client forwards the request to a server, and does not respond while it reaches none.
    role=Role.SERVER,
)
