"""The families that an answer to ``/v1/agent/self`` fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nomad_exporter.metrics.family import Family, Header, Sample, counts, info, one, states
from nomad_exporter.nomad import stats
from nomad_exporter.nomad.models import RAFT_STATES, SUFFRAGES, AgentSelf, Role
from nomad_exporter.nomad.stats import Kind, Number, Stat

PREFIX = "nomad_agent_"

_SUFFIXES = {Kind.DURATION: "_seconds", Kind.TIME: "_timestamp_seconds"}

_RENAMED = {"runtime.cpu_count": "runtime_cpus"}
"""Keys whose rule would give a name that ends as a counter or a histogram does."""

_NOT_OF_A_GAUGE = ("_total", "_count", "_sum", "_bucket", "_info", "_created")


def family_name(path: str, kind: Kind) -> str:
    """The name of the family of a stat: Nomad's own key behind its group, and the unit.

    The group ``nomad`` is left out: ``nomad.known_regions`` is ``nomad_agent_known_regions``.
    """
    name = _RENAMED.get(path, path.removeprefix("nomad.").replace(".", "_"))
    if kind is Kind.TIME:
        name = name.removesuffix("_time")
    return PREFIX + name + _SUFFIXES.get(kind, "")


def _of_stat(stat: Stat) -> Family[AgentSelf]:
    def samples(answer: AgentSelf) -> Iterable[Sample]:
        return one(answer.numbers.get(stat.path))

    return Family(family_name(stat.path, stat.kind), stat.help, f"self: stats.{stat.path}", samples)


def _group(name: str) -> tuple[Family[AgentSelf], ...]:
    return tuple(_of_stat(stat) for stat in stats.STATS if stat.group == name and stat.kind is not Kind.TEXT)


def _fact(name: str, help: str, origin: str, fact: Callable[[AgentSelf], Number | None]) -> Family[AgentSelf]:
    return Family(PREFIX + name, help, f"self: {origin}", lambda answer: one(fact(answer)))


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _is_said(path: str) -> Callable[[AgentSelf], Number | None]:
    """1 where the stat is told, 0 where Nomad says that there is nothing to tell, unknown where it says neither."""

    def said(answer: AgentSelf) -> Number | None:
        if path in answer.null_paths:
            return 0
        return 1 if path in answer.texts or path in answer.numbers else None

    return said


def _known_servers(answer: AgentSelf) -> int | None:
    told = answer.texts.get("client.known_servers")
    return None if told is None else len(set(filter(None, told.split(","))))


def _info(answer: AgentSelf) -> Iterable[Sample]:
    member = answer.member.name if answer.member else answer.node_name
    roles = ",".join(role for role in (Role.SERVER, Role.CLIENT) if role in answer.roles)
    return info(member, answer.region, answer.datacenter, answer.version, roles)


def _text_info(*paths: str) -> Callable[[AgentSelf], Iterable[Sample]]:
    return lambda answer: info(*(answer.texts.get(path, "") for path in paths))


SELF: tuple[Family[AgentSelf], ...] = (
    Family(
        PREFIX + "info",
        "What the agent is; member is its name in gossip, of an agent that is only a client its node name.",
        "self: member, config",
        _info,
        ("member", "nomad_region", "datacenter", "version", "role"),
    ),
    _fact("acl_enabled", "Whether access control is on.", "config.ACL.Enabled", lambda a: _flag(a.acl_enabled)),
    _fact("tls_http", "Whether the agent serves HTTPS.", "config.TLSConfig.EnableHTTP", lambda a: _flag(a.tls_http)),
    _fact(
        "tls_verify_https_client",
        "Whether the agent wants a client certificate.",
        "config.TLSConfig.VerifyHTTPSClient",
        lambda a: _flag(a.tls_verify_https_client),
    ),
    _fact(
        "bootstrap_expect",
        "Servers that the cluster was planned with; absent where not set.",
        "config.Server.BootstrapExpect, member.Tags.expect",
        lambda a: a.bootstrap_expect,
    ),
    *_group("nomad"),
    _fact(
        "leader_known", "Whether this server knows a leader.", "stats.nomad.leader_addr", _is_said("nomad.leader_addr")
    ),
    Family(
        PREFIX + "leader_info",
        "The RPC address of the leader that this server believes in.",
        "self: stats.nomad.leader_addr",
        _text_info("nomad.leader_addr"),
        ("address",),
    ),
    Family(
        PREFIX + "raft_state",
        "1 for the raft state that the server is in.",
        "self: stats.raft.state",
        lambda answer: states(answer.texts.get("raft.state") or None, RAFT_STATES),
        ("state",),
    ),
    *_group("raft"),
    Family(
        PREFIX + "raft_servers",
        "Servers in this server's view of the raft configuration.",
        "self: stats.raft.latest_configuration",
        lambda answer: (
            () if answer.configuration is None else counts([s.suffrage for s in answer.configuration], SUFFRAGES)
        ),
        ("suffrage",),
    ),
    Family(
        PREFIX + "raft_server_info",
        "One server of the raft configuration.",
        "self: stats.raft.latest_configuration",
        lambda answer: [((s.id, s.address, s.suffrage), 1) for s in answer.configuration or ()],
        ("id", "address", "suffrage"),
    ),
    Family(
        PREFIX + "raft_logstore_info",
        "How this server stores its raft log.",
        "self: stats.raft.logstore_backend",
        _text_info("raft.logstore_backend"),
        ("backend",),
    ),
    *_group("serf"),
    *_group("client"),
    _fact(
        "client_registered",
        "Whether the client has registered with the servers since it started.",
        "stats.client.heartbeat_ttl",
        _is_said("client.heartbeat_ttl"),
    ),
    _fact(
        "client_known_servers", "Distinct servers that the client knows.", "stats.client.known_servers", _known_servers
    ),
    Family(
        PREFIX + "client_info",
        "The client's node in the cluster.",
        "self: stats.client.node_id",
        _text_info("client.node_id"),
        ("node_id",),
    ),
    *_group("runtime"),
    Family(
        PREFIX + "runtime_info",
        "What the agent runs on; version is that of Go.",
        "self: stats.runtime",
        _text_info("runtime.kernel.name", "runtime.arch", "runtime.version"),
        ("kernel_name", "arch", "version"),
    ),
    *_group("vault"),
)


def unknown(answer: AgentSelf, kinds: Mapping[str, Kind]) -> Iterable[tuple[Header, Number]]:
    """The families of stats that are not in the catalogue, by the same rule, as far as their kind is proved.

    A zero that proves no kind yet is shown as the number it reads as.
    """
    for path, text in answer.unknown.items():
        kind = kinds.get(path, Kind.NUMBER)
        try:
            number = stats.read(kind, text)
        except ValueError:
            continue
        name = family_name(path, kind)
        safe = f"{name}_stat" if name.endswith(_NOT_OF_A_GAUGE) else name
        yield Header(safe, "gauge", f"A stat that this exporter does not know. (self: stats.{path})"), number
