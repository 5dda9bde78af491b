"""The source ``self``: an agent's own state, from every Nomad since 0.5.

Of ``config`` only an allow-list of fields is read: the rest can hold tokens and licences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec
from msgspec.json import Decoder

from nomad_exporter.nomad import stats
from nomad_exporter.nomad.lenient import INTEGER, OBJECT, TEXT, TEXT_LIMIT, LenientDecoder
from nomad_exporter.nomad.models import SUFFRAGES, AgentSelf, RaftServer, Role
from nomad_exporter.nomad.sources.members import decode_member
from nomad_exporter.nomad.sources.source import KIB, Reply, Source
from nomad_exporter.nomad.stats import Kind, Number, Stat

UNKNOWN_LIMIT = 50
"""Maximum number of unknown stats in one answer; a new Nomad adds one or two."""

RAFT_SERVERS_LIMIT = 100
"""Maximum number of servers in a raft configuration; Nomad recommends five to seven. A longer one is invalid."""

_TEXT_LIMITS = {"raft.latest_configuration": 65536, "raft.raft_peers": 65536, "client.known_servers": 32768}
"""Maximum lengths of texts longer than ``TEXT_LIMIT``, in bytes; enough for ``RAFT_SERVERS_LIMIT`` servers."""

_KNOWN: dict[str, Stat] = {stat.path: stat for stat in stats.STATS}
_UNKNOWN_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SERVER = re.compile(r"\{Suffrage:([^\s{}]+) ID:([^{}]*?) Address:([^\s{}]*)\}")


class _Body(msgspec.Struct):
    config: msgspec.Raw = msgspec.Raw()
    member: msgspec.Raw = msgspec.Raw()
    stats: dict[str, msgspec.Raw] = {}


class _Enabled(msgspec.Struct, rename="pascal"):
    enabled: bool | None = None


class _Server(msgspec.Struct, rename="pascal"):
    bootstrap_expect: msgspec.Raw = msgspec.Raw()


class _TlsConfig(msgspec.Struct):
    http: bool | None = msgspec.field(default=None, name="EnableHTTP")
    verify: bool | None = msgspec.field(default=None, name="VerifyHTTPSClient")


class _Version(msgspec.Struct, rename="pascal"):
    version: msgspec.Raw = msgspec.Raw()
    version_prerelease: msgspec.Raw = msgspec.Raw()
    version_metadata: msgspec.Raw = msgspec.Raw()


class _Config(msgspec.Struct, rename="pascal"):
    region: msgspec.Raw = msgspec.Raw()
    datacenter: msgspec.Raw = msgspec.Raw()
    node_name: msgspec.Raw = msgspec.Raw()
    version: msgspec.Raw = msgspec.Raw()
    version_prerelease: msgspec.Raw = msgspec.Raw()
    server: msgspec.Raw = msgspec.Raw()
    acl: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="ACL")
    tls: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="TLSConfig")


_BODY = Decoder(_Body)
_ENABLED = Decoder(_Enabled)
_SERVER_CONFIG = Decoder(_Server)
_TLS_CONFIG = Decoder(_TlsConfig)
_VERSION = Decoder(_Version)
_CONFIG = Decoder(_Config)


def decode(reply: Reply) -> AgentSelf:
    """Decode a reply. Raises ValueError or a msgspec error if it is not the answer of an agent."""
    content = _BODY.decode(reply.body)
    decoder = LenientDecoder()
    texts = _decode_texts(content.stats, decoder)
    roles = frozenset(
        role for role, group in ((Role.SERVER, "nomad"), (Role.CLIENT, "client")) if group in content.stats
    )
    if not roles:
        raise ValueError("no stats of a server or a client")
    config = decoder.read(content.config, _CONFIG, "config") or _Config()
    tls = decoder.read(config.tls, _TLS_CONFIG, "config.TLSConfig") or _TlsConfig()
    member = decode_member(content.member, decoder, "member")
    unknown, omitted = _select_unknown(texts)
    return AgentSelf(
        roles=roles,
        region=decoder.text(config.region, "config.Region"),
        datacenter=decoder.text(config.datacenter, "config.Datacenter"),
        node_name=decoder.text(config.node_name, "config.NodeName"),
        version=_decode_version(config, decoder),
        acl_enabled=(decoder.read(config.acl, _ENABLED, "config.ACL") or _Enabled()).enabled,
        tls_http=tls.http,
        tls_verify_https_client=tls.verify,
        bootstrap_expect=_decode_bootstrap_expect(config, member.expect if member else "", decoder),
        member=member,
        numbers=_decode_numbers(texts, decoder),
        texts={path: text for path, text in texts.items() if _has_value(path, text) and _is_short_text(path)},
        null_paths=frozenset(path for path, text in texts.items() if _is_null(path, text)),
        configuration=_decode_configuration(texts, decoder),
        unknown=unknown,
        omitted={"unknown_stats": omitted} if omitted else {},
        invalid_fields=tuple(decoder.invalid_fields),
    )


def _decode_texts(groups: Mapping[str, msgspec.Raw], decoder: LenientDecoder) -> dict[str, str]:
    """Return the texts of all stats in known groups, by path."""
    texts = {}
    for group in stats.GROUPS:
        keys = decoder.read(groups.get(group, msgspec.Raw()), OBJECT, f"stats.{group}") or {}
        for key, raw in keys.items():
            path = f"{group}.{key}"
            field = f"stats.{path}" if path in _KNOWN else f"stats.{group}.(unknown)"
            text = decoder.read(raw, TEXT, field, _TEXT_LIMITS.get(path, TEXT_LIMIT))
            if text is not None:
                texts[path] = text
    return texts


def _is_null(path: str, text: str) -> bool:
    return path in _KNOWN and text in _KNOWN[path].null_values


def _has_value(path: str, text: str) -> bool:
    return path in _KNOWN and text not in _KNOWN[path].null_values


def _is_short_text(path: str) -> bool:
    return _KNOWN[path].kind is Kind.TEXT and path not in _CONFIGURATIONS


def _decode_numbers(texts: Mapping[str, str], decoder: LenientDecoder) -> dict[str, Number]:
    numbers = {}
    for path, text in texts.items():
        if not _has_value(path, text) or _KNOWN[path].kind is Kind.TEXT:
            continue
        try:
            numbers[path] = stats.read(_KNOWN[path].kind, text)
        except ValueError:
            decoder.mark_invalid(f"stats.{path}")
    return numbers


def _select_unknown(texts: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Return the first ``UNKNOWN_LIMIT`` unknown stats in alphabetical order, by path, and the number of the others."""
    # Sorted, so that the same stats are selected at every poll.
    paths = sorted(path for path in texts if path not in _KNOWN and _UNKNOWN_KEY.fullmatch(path.partition(".")[2]))
    selected = paths[:UNKNOWN_LIMIT]
    return {path: texts[path] for path in selected}, len(paths) - len(selected)


def _decode_configuration(texts: Mapping[str, str], decoder: LenientDecoder) -> tuple[RaftServer, ...] | None:
    """Return the servers of the raft configuration; None if it is missing or any part of it is invalid."""
    path = next((path for path in _CONFIGURATIONS if path in texts), None)
    if path is None or not _has_value(path, texts[path]):
        return None
    servers = _CONFIGURATIONS[path](texts[path])
    if servers is None or not _is_possible(servers):
        decoder.mark_invalid(f"stats.{path}")
        return None
    return servers


_ENOUGH = RAFT_SERVERS_LIMIT + 1
"""How many servers are parsed: one more than the limit shows that there are too many."""


def _parse_configuration(text: str) -> tuple[RaftServer, ...] | None:
    """Return the servers in the text of a configuration; None if any part of the text is something else."""
    servers = tuple(RaftServer(*found.groups()) for found in islice(_SERVER.finditer(text), _ENOUGH))
    formatted = "[" + " ".join(f"{{Suffrage:{s.suffrage} ID:{s.id} Address:{s.address}}}" for s in servers) + "]"
    return servers if text == formatted else None


def _parse_peers(peers: str) -> tuple[RaftServer, ...]:
    """Return the servers in the list of peers that Nomad had before 0.5.5; all of them are voters."""
    return tuple(RaftServer("Voter", peer, peer) for peer in peers.split(",", RAFT_SERVERS_LIMIT))


_CONFIGURATIONS = {"raft.latest_configuration": _parse_configuration, "raft.raft_peers": _parse_peers}
"""The stats that list the servers of the raft configuration, the preferred one first, each with its parser."""


def _is_possible(servers: Sequence[RaftServer]) -> bool:
    """Return whether raft would accept a configuration of these servers."""
    # Raft itself refuses empty and duplicate IDs and addresses. A verdict must not count one server several times.
    ids, addresses = {server.id for server in servers}, {server.address for server in servers}
    has_duplicates = min(len(ids), len(addresses)) < len(servers)
    has_valid_suffrages = {server.suffrage for server in servers} <= set(SUFFRAGES)
    return (
        not has_duplicates and "" not in ids | addresses and has_valid_suffrages and len(servers) <= RAFT_SERVERS_LIMIT
    )


def _decode_version(config: _Config, decoder: LenientDecoder) -> str:
    """Return the version with prerelease and metadata, such as ``1.11.0-beta.1`` or ``2.0.5+ent``."""
    # An object since 0.6.1; before, a text with the prerelease beside it.
    fields = _Version(config.version, config.version_prerelease)
    if bytes(config.version).startswith(b"{"):
        fields = decoder.read(config.version, _VERSION, "config.Version") or _Version()
    version, prerelease, metadata = (
        decoder.text(raw, "config.Version")
        for raw in (fields.version, fields.version_prerelease, fields.version_metadata)
    )
    return version + (f"-{prerelease}" if prerelease else "") + (f"+{metadata}" if metadata else "")


def _decode_bootstrap_expect(config: _Config, tag: str, decoder: LenientDecoder) -> int | None:
    """Return ``bootstrap_expect`` from the configuration, else from the member's tag."""
    server = decoder.read(config.server, _SERVER_CONFIG, "config.Server") or _Server()
    expect = decoder.read(server.bootstrap_expect, INTEGER, "config.Server.BootstrapExpect")
    return expect or (int(tag) if re.fullmatch(r"[0-9]{1,4}", tag) else None)


SELF = Source(
    name="self",
    path="/v1/agent/self",
    decode=decode,
    body_limit=512 * KIB,  # A real answer has about 10 kB.
    permission="agent:read",
    verdicts=("ready", "quorum"),
)
