"""``/v1/agent/self``, from the bytes of any Nomad since 0.5 to an ``AgentSelf``.

Of ``config`` only an allow-list of plain facts is read: the rest can hold tokens and licences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from nomad_exporter.nomad import stats
from nomad_exporter.nomad.decode_members import member
from nomad_exporter.nomad.lenient import TEXT_LIMIT, LenientDecoder
from nomad_exporter.nomad.models import SUFFRAGES, AgentSelf, RaftServer, Role
from nomad_exporter.nomad.stats import Kind, Number, Stat

UNKNOWN_LIMIT = 50
"""Unknown stats that are kept of one answer; a new Nomad adds one or two."""

_LIMITS = {"raft.latest_configuration": 65536, "raft.raft_peers": 65536}
"""Texts that may be longer than a name; some six hundred servers, in characters."""

_KNOWN: dict[str, Stat] = {stat.path: stat for stat in stats.STATS}
_PLAIN_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")
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


def decode(body: bytes) -> AgentSelf:
    """The answer in ``body``. Raises ValueError or a msgspec error where it is no answer of an agent at all."""
    whole = msgspec.json.decode(body, type=_Body)
    parts = LenientDecoder()
    texts = _texts(whole.stats, parts)
    roles = frozenset(role for role, group in ((Role.SERVER, "nomad"), (Role.CLIENT, "client")) if group in whole.stats)
    if not roles:
        raise ValueError("it has the stats neither of a server nor of a client")
    config = parts.read(whole.config, _Config, "config") or _Config()
    tls = parts.read(config.tls, _TlsConfig, "config.TLSConfig") or _TlsConfig()
    itself = member(whole.member, parts, "member")
    return AgentSelf(
        roles=roles,
        region=parts.text(config.region, "config.Region"),
        datacenter=parts.text(config.datacenter, "config.Datacenter"),
        node_name=parts.text(config.node_name, "config.NodeName"),
        version=_version(config, parts),
        acl_enabled=(parts.read(config.acl, _Enabled, "config.ACL") or _Enabled()).enabled,
        tls_http=tls.http,
        tls_verify_https_client=tls.verify,
        bootstrap_expect=_bootstrap_expect(config, itself.expect if itself else "", parts),
        member=itself,
        numbers=_numbers(texts, parts),
        texts={path: text for path, text in texts.items() if _is_said(path, text) and _is_short_text(path)},
        null_paths=frozenset(
            path for path, text in texts.items() if path in _KNOWN and text in _KNOWN[path].null_values
        ),
        configuration=_configuration(texts, parts),
        unknown=_unknown(texts),
        invalid_fields=tuple(parts.invalid_fields),
    )


def _texts(groups: Mapping[str, msgspec.Raw], parts: LenientDecoder) -> dict[str, str]:
    """The texts of all stats in known groups, by path."""
    texts = {}
    for group in stats.GROUPS:
        keys = parts.read(groups.get(group, msgspec.Raw()), dict[str, msgspec.Raw], f"stats.{group}") or {}
        for key, raw in keys.items():
            path = f"{group}.{key}"
            where = f"stats.{path}" if path in _KNOWN else f"stats.{group}.(unknown)"
            text = parts.read(raw, str, where, _LIMITS.get(path, TEXT_LIMIT))
            if text is not None:
                texts[path] = text
    return texts


def _is_said(path: str, text: str) -> bool:
    return path in _KNOWN and text not in _KNOWN[path].null_values


def _is_short_text(path: str) -> bool:
    return _KNOWN[path].kind is Kind.TEXT and path not in _LIMITS


def _numbers(texts: Mapping[str, str], parts: LenientDecoder) -> dict[str, Number]:
    numbers = {}
    for path, text in texts.items():
        if not _is_said(path, text) or _KNOWN[path].kind is Kind.TEXT:
            continue
        try:
            numbers[path] = stats.read(_KNOWN[path].kind, text)
        except ValueError:
            parts.mark_invalid(f"stats.{path}")
    return numbers


def _unknown(texts: Mapping[str, str]) -> dict[str, str]:
    """Stats of a later Nomad: those of plain names, few, and always the same few."""
    paths = sorted(path for path in texts if path not in _KNOWN and _PLAIN_KEY.fullmatch(path.partition(".")[2]))
    return {path: texts[path] for path in paths[:UNKNOWN_LIMIT]}


def _configuration(texts: Mapping[str, str], parts: LenientDecoder) -> tuple[RaftServer, ...] | None:
    """The raft servers; before 0.5.5 only a list of peers, all of them voters, was told."""
    told = texts.get("raft.latest_configuration")
    if told is None:
        peers = texts.get("raft.raft_peers", "")
        return tuple(RaftServer("Voter", peer, peer) for peer in peers.split(",")) if peers else None
    servers = tuple(RaftServer(*found) for found in _SERVER.findall(told))
    plain = "[" + " ".join(f"{{Suffrage:{s.suffrage} ID:{s.id} Address:{s.address}}}" for s in servers) + "]"
    if told != plain or any(server.suffrage not in SUFFRAGES for server in servers):
        parts.mark_invalid("stats.raft.latest_configuration")
        return None
    return servers


def _version(config: _Config, parts: LenientDecoder) -> str:
    """``1.11.0-beta.1``, ``2.0.5+ent``: an object since 0.6.1, a text with a sibling before."""
    told = _Version(config.version, config.version_prerelease)
    if bytes(config.version).startswith(b"{"):
        told = parts.read(config.version, _Version, "config.Version") or _Version()
    version, prerelease, metadata = (
        parts.text(raw, "config.Version") for raw in (told.version, told.version_prerelease, told.version_metadata)
    )
    return version + (f"-{prerelease}" if prerelease else "") + (f"+{metadata}" if metadata else "")


def _bootstrap_expect(config: _Config, tag: str, parts: LenientDecoder) -> int | None:
    server = parts.read(config.server, _Server, "config.Server") or _Server()
    told = parts.read(server.bootstrap_expect, int, "config.Server.BootstrapExpect")
    return told or (int(tag) if re.fullmatch(r"[0-9]{1,4}", tag) else None)
