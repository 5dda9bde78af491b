"""``/v1/agent/members``, from bytes to ``Members``; a member in ``/v1/agent/self`` has the same form."""

from __future__ import annotations

import msgspec

from nomad_exporter.nomad.lenient import LenientDecoder, TooMany
from nomad_exporter.nomad.models import MEMBER_STATUSES, Member, Members

MEMBERS_LIMIT = 5000
"""More servers than any gossip pool has; an answer with more is refused whole."""


class _Body(msgspec.Struct, rename="pascal"):
    members: list[msgspec.Raw]


class _Member(msgspec.Struct, rename="pascal"):
    name: msgspec.Raw = msgspec.Raw()
    addr: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    tags: msgspec.Raw = msgspec.Raw()
    protocol_cur: msgspec.Raw = msgspec.Raw()
    delegate_cur: msgspec.Raw = msgspec.Raw()


def decode(body: bytes) -> Members:
    """The answer in ``body``. Raises ValueError or a msgspec error where it is no list of members.

    A ``null`` list, which an agent answers while it stops, is refused too: it says nothing of the members.
    """
    told = msgspec.json.decode(body, type=_Body).members
    if len(told) > MEMBERS_LIMIT:
        raise TooMany(f"more than {MEMBERS_LIMIT} members")
    parts = LenientDecoder()
    members: dict[str, Member] = {}
    for raw in told:
        found = member(raw, parts, "Members[]")
        if found is None or found.name in members:
            parts.mark_invalid("Members[]")
        else:
            members[found.name] = found
    return Members(tuple(members[name] for name in sorted(members)), tuple(parts.invalid_fields))


def member(raw: msgspec.Raw, parts: LenientDecoder, where: str) -> Member | None:
    """One member; None where it has no name, as in ``self`` of an agent that is only a client."""
    told = parts.read(raw, _Member, where) or _Member()
    name = parts.text(told.name, f"{where}.Name")
    if not name:
        return None
    tags = parts.read(told.tags, dict[str, msgspec.Raw], f"{where}.Tags") or {}

    def tag(key: str) -> str:
        return parts.text(tags.get(key, msgspec.Raw()), f"{where}.Tags.{key}")

    return Member(
        name=name,
        status=_status(told.status, parts, where),
        id=tag("id"),
        address=_rpc_address(parts.text(told.addr, f"{where}.Addr"), tag("port")),
        region=tag("region"),
        datacenter=tag("dc"),
        build=tag("build"),
        raft_version=tag("raft_vsn"),
        protocol=parts.read(told.protocol_cur, int, f"{where}.ProtocolCur"),
        delegate=parts.read(told.delegate_cur, int, f"{where}.DelegateCur"),
        expect=tag("expect"),
        nonvoter=bool(tag("nonvoter") or tag("ap_zone")),
    )


def _status(raw: msgspec.Raw, parts: LenientDecoder, where: str) -> str:
    status = parts.text(raw, f"{where}.Status")
    if status in MEMBER_STATUSES:
        return status
    parts.mark_invalid(f"{where}.Status")
    return ""


def _rpc_address(host: str, port: str) -> str:
    """``host:port`` as raft writes it: ``Port`` of a member is gossip's, the tag ``port`` that of its RPC."""
    if not (host and port):
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
