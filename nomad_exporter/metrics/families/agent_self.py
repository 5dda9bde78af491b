"""Families filled by an answer to ``/v1/agent/self``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nomad_exporter.metrics.family import Family, Header, Lifetime, Sample, counts, info, one, states
from nomad_exporter.nomad import stats
from nomad_exporter.nomad.models import RAFT_STATES, SUFFRAGES, AgentSelf, Role
from nomad_exporter.nomad.stats import Kind, Number, Stat

PREFIX = "nomad_agent_"

_SUFFIXES = {Kind.DURATION: "_seconds", Kind.TIME: "_timestamp_seconds"}

_RENAMED = {"runtime.cpu_count": "runtime_cpus"}
"""Stats whose regular name would end like that of a counter or a histogram."""

_LIFETIMES = {
    "nomad.leader": Lifetime.TERM,
    "raft.last_contact": Lifetime.MOMENT,
    "client.last_heartbeat": Lifetime.MOMENT,
}
"""Stats that claim something about this moment."""

_RESERVED_SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_info", "_created")
"""Suffixes that OpenMetrics does not allow for a gauge."""


def family_name(path: str, kind: Kind) -> str:
    """Return the name of the family of a stat: its group, Nomad's own key and a suffix for the unit.

    The group ``nomad`` is omitted: ``nomad.known_regions`` becomes ``nomad_agent_known_regions``.
    """
    name = _RENAMED.get(path, path.removeprefix("nomad.").replace(".", "_"))
    if kind is Kind.TIME:
        name = name.removesuffix("_time")
    return PREFIX + name + _SUFFIXES.get(kind, "")


def _stat_family(stat: Stat) -> Family[AgentSelf]:
    def samples(answer: AgentSelf) -> Iterable[Sample]:
        return one(answer.numbers.get(stat.path))

    lifetime = _LIFETIMES.get(stat.path, Lifetime.MAX_AGE)
    return Family(family_name(stat.path, stat.kind), stat.help, f"self: stats.{stat.path}", samples, lifetime=lifetime)


def _group_families(name: str) -> tuple[Family[AgentSelf], ...]:
    return tuple(_stat_family(stat) for stat in stats.STATS if stat.group == name and stat.kind is not Kind.TEXT)


def _gauge(
    name: str,
    help: str,
    origin: str,
    value: Callable[[AgentSelf], Number | None],
    lifetime: Lifetime = Lifetime.MAX_AGE,
) -> Family[AgentSelf]:
    return Family(PREFIX + name, help, f"self: {origin}", lambda answer: one(value(answer)), lifetime=lifetime)


def _bool(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _has_value(path: str) -> Callable[[AgentSelf], Number | None]:
    """Return a function that is 1 if the stat has a value, 0 if Nomad reports it as empty, None if it is missing."""

    def has_value(answer: AgentSelf) -> Number | None:
        if path in answer.null_paths:
            return 0
        return 1 if path in answer.texts or path in answer.numbers else None

    return has_value


def _known_servers(answer: AgentSelf) -> int | None:
    servers = answer.texts.get("client.known_servers")
    return None if servers is None else len(set(filter(None, servers.split(","))))


def _info(answer: AgentSelf) -> Iterable[Sample]:
    roles = ",".join(role for role in (Role.SERVER, Role.CLIENT) if role in answer.roles)
    return info(answer.name, answer.region, answer.datacenter, answer.version, roles)


def _text_info(*paths: str) -> Callable[[AgentSelf], Iterable[Sample]]:
    return lambda answer: info(*(answer.texts.get(path, "") for path in paths))


FAMILIES: tuple[Family[AgentSelf], ...] = (
    Family(
        PREFIX + "info",
        "Identity of the agent; member is the gossip name of a server or the node name of a client.",
        "self: member, config",
        _info,
        ("member", "nomad_region", "datacenter", "version", "role"),
        lifetime=Lifetime.CONFIGURED,
    ),
    _gauge("acl_enabled", "Whether ACLs are enabled.", "config.ACL.Enabled", lambda a: _bool(a.acl_enabled)),
    _gauge("tls_http", "Whether the agent serves HTTPS.", "config.TLSConfig.EnableHTTP", lambda a: _bool(a.tls_http)),
    _gauge(
        "tls_verify_https_client",
        "Whether the agent requires a client certificate for HTTPS.",
        "config.TLSConfig.VerifyHTTPSClient",
        lambda a: _bool(a.tls_verify_https_client),
    ),
    _gauge(
        "bootstrap_expect",
        "Servers that the cluster waits for at bootstrap; absent if not set.",
        "config.Server.BootstrapExpect, member.Tags.expect",
        lambda a: a.bootstrap_expect,
    ),
    *_group_families("nomad"),
    _gauge(
        "leader_known",
        "Whether this server knows a leader.",
        "stats.nomad.leader_addr",
        _has_value("nomad.leader_addr"),
        Lifetime.MOMENT,
    ),
    Family(
        PREFIX + "leader_info",
        "RPC address of the leader known to this server.",
        "self: stats.nomad.leader_addr",
        _text_info("nomad.leader_addr"),
        ("address",),
        lifetime=Lifetime.MOMENT,
    ),
    Family(
        PREFIX + "raft_state",
        "Raft state of this server: 1 for the current state, 0 for the others.",
        "self: stats.raft.state",
        lambda answer: states(answer.texts.get("raft.state") or None, RAFT_STATES),
        ("state",),
        lifetime=Lifetime.MOMENT,
    ),
    *_group_families("raft"),
    Family(
        PREFIX + "raft_servers",
        "Servers in the Raft configuration known to this server, by suffrage.",
        "self: stats.raft.latest_configuration",
        lambda answer: (
            () if answer.configuration is None else counts([s.suffrage for s in answer.configuration], SUFFRAGES)
        ),
        ("suffrage",),
    ),
    Family(
        PREFIX + "raft_server_info",
        "Server in the Raft configuration known to this server.",
        "self: stats.raft.latest_configuration",
        lambda answer: [((s.id, s.address, s.suffrage), 1) for s in answer.configuration or ()],
        ("id", "address", "suffrage"),
    ),
    Family(
        PREFIX + "raft_logstore_info",
        "Storage backend of the Raft log.",
        "self: stats.raft.logstore_backend",
        _text_info("raft.logstore_backend"),
        ("backend",),
    ),
    *_group_families("serf"),
    *_group_families("client"),
    _gauge(
        "client_registered",
        "Whether the client has registered with the servers since it started.",
        "stats.client.heartbeat_ttl",
        _has_value("client.heartbeat_ttl"),
        Lifetime.MOMENT,
    ),
    _gauge(
        "client_known_servers", "Distinct servers known to the client.", "stats.client.known_servers", _known_servers
    ),
    Family(
        PREFIX + "client_info",
        "Node ID of the client.",
        "self: stats.client.node_id",
        _text_info("client.node_id"),
        ("node_id",),
    ),
    *_group_families("runtime"),
    Family(
        PREFIX + "runtime_info",
        "Kernel, architecture and Go version of the agent.",
        "self: stats.runtime",
        _text_info("runtime.kernel.name", "runtime.arch", "runtime.version"),
        ("kernel_name", "arch", "version"),
    ),
    *_group_families("vault"),
)


def unknown(answer: AgentSelf, kinds: Mapping[str, Kind]) -> Iterable[tuple[Header, Number]]:
    """Yield header and value of each stat that is not in the catalogue, named by the same rule.

    ``kinds`` are the kinds learned so far. A value of another kind is skipped; a zero of no known kind is a number.
    """
    for path, text in answer.unknown.items():
        kind = kinds.get(path, Kind.NUMBER)
        try:
            number = stats.read(kind, text)
        except ValueError:
            continue
        name = family_name(path, kind)
        safe_name = f"{name}_stat" if name.endswith(_RESERVED_SUFFIXES) else name
        yield Header(safe_name, "gauge", f"Stat unknown to this exporter. (self: stats.{path})"), number
