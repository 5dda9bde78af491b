"""Families of the answer to self: stats by rule, configuration values one by one, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from nomad_exporter.metrics.families.agent_self import FAMILIES, family_name, unknown
from nomad_exporter.metrics.family import Header
from nomad_exporter.nomad.models import RAFT_STATES, AgentSelf, Member, RaftServer, Role
from nomad_exporter.nomad.sources import SELF, Reply
from nomad_exporter.nomad.stats import STATS, Kind, Number, Stat
from tests.unit.metrics.rendering import render_lines

EMPTY = AgentSelf(roles=frozenset())
SERVER = AgentSelf(roles=frozenset({Role.SERVER}))
CLIENT = AgentSelf(roles=frozenset({Role.CLIENT}))


def decoded(group: str, **stats: str) -> AgentSelf:
    """Return the decoded answer of an agent with only these stats."""
    answer = SELF.read(Reply(200, json.dumps({"stats": {"nomad": {}, "client": {}, group: stats}}).encode()))
    assert isinstance(answer, AgentSelf)
    return answer


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        pytest.param("raft.commit_index", Kind.NUMBER, "nomad_agent_raft_commit_index", id="group and key"),
        pytest.param("nomad.known_regions", Kind.NUMBER, "nomad_agent_known_regions", id="the group nomad is omitted"),
        pytest.param("serf.encrypted", Kind.BOOL, "nomad_agent_serf_encrypted", id="a bool has no unit"),
        pytest.param("raft.last_contact", Kind.DURATION, "nomad_agent_raft_last_contact_seconds", id="seconds"),
        pytest.param(
            "vault.token_expire_time", Kind.TIME, "nomad_agent_vault_token_expire_timestamp_seconds", id="a time"
        ),
        pytest.param(
            "serf.member_time", Kind.NUMBER, "nomad_agent_serf_member_time", id="a Lamport clock is not a time"
        ),
        pytest.param("runtime.cpu_count", Kind.NUMBER, "nomad_agent_runtime_cpus", id="a gauge does not end in _count"),
        pytest.param("runtime.kernel.age", Kind.NUMBER, "nomad_agent_runtime_kernel_age", id="a key with a dot"),
    ],
)
def test_stat_keeps_the_key_of_nomad(path: str, kind: Kind, name: str) -> None:
    assert family_name(path, kind) == name


@pytest.mark.parametrize("stat", [stat for stat in STATS if stat.kind is not Kind.TEXT], ids=lambda stat: stat.path)
def test_number_is_rendered_and_help_names_the_stat(stat: Stat) -> None:
    name = family_name(stat.path, stat.kind)
    family = next(family for family in FAMILIES if family.name == name)

    assert render_lines(FAMILIES, AgentSelf(roles=frozenset(), numbers={stat.path: 7}), name) == [f"{name} 7"]
    assert family.header.help == f"{stat.help} (self: stats.{stat.path})"


def test_empty_answer_has_no_samples() -> None:
    assert render_lines(FAMILIES, EMPTY) == []


@pytest.mark.parametrize(
    ("group", "key", "text", "family"),
    [
        pytest.param("raft", "last_contact", "never", "nomad_agent_raft_last_contact_seconds", id="never"),
        pytest.param(
            "client",
            "last_heartbeat",
            "2562047h47m16.854775807s",
            "nomad_agent_client_last_heartbeat_seconds",
            id="292 years",
        ),
        pytest.param("client", "heartbeat_ttl", "0s", "nomad_agent_client_heartbeat_ttl_seconds", id="0s"),
        pytest.param("vault", "token_ttl", "0s", "nomad_agent_vault_token_ttl_seconds", id="no Vault token"),
        pytest.param(
            "vault", "token_expire_time", "", "nomad_agent_vault_token_expire_timestamp_seconds", id="no time"
        ),
        pytest.param("nomad", "leader_addr", "", "nomad_agent_leader_info", id="no leader"),
        pytest.param("client", "node_id", "", "nomad_agent_client_info", id="no node"),
        pytest.param("raft", "logstore_backend", "", "nomad_agent_raft_logstore_info", id="no backend"),
        pytest.param("raft", "raft_peers", "", "nomad_agent_raft_servers", id="no peers"),
    ],
)
def test_empty_value_is_absent_but_not_invalid(group: str, key: str, text: str, family: str) -> None:
    answer = decoded(group, **{key: text})

    assert render_lines(FAMILIES, answer, family) == []
    assert answer.invalid_fields == ()


@pytest.mark.parametrize(
    ("group", "key", "text", "line"),
    [
        pytest.param("raft", "last_contact", "0", "nomad_agent_raft_last_contact_seconds 0.0", id="the leader's 0"),
        pytest.param("raft", "fsm_pending", "0", "nomad_agent_raft_fsm_pending 0", id="a zero"),
        pytest.param("client", "last_heartbeat", "0s", "nomad_agent_client_last_heartbeat_seconds 0.0", id="just now"),
        pytest.param("nomad", "leader", "false", "nomad_agent_leader 0", id="false"),
        pytest.param("client", "known_servers", "", "nomad_agent_client_known_servers 0", id="no servers"),
        pytest.param(
            "raft", "latest_configuration", "[]", 'nomad_agent_raft_servers{suffrage="Voter"} 0', id="no voters"
        ),
    ],
)
def test_meaningful_zero_is_rendered(group: str, key: str, text: str, line: str) -> None:
    assert line in render_lines(FAMILIES, decoded(group, **{key: text}))


@pytest.mark.parametrize(
    ("answer", "member", "role"),
    [
        pytest.param(
            AgentSelf(frozenset({Role.SERVER}), "eu", "dc1", "s1", "2.0.5", member=Member("s1.eu")),
            "s1.eu",
            "server",
            id="gossip name of a server",
        ),
        pytest.param(
            AgentSelf(frozenset({Role.CLIENT}), "eu", "dc1", "c1", "2.0.5"), "c1", "client", id="node name of a client"
        ),
        pytest.param(
            AgentSelf(frozenset({Role.CLIENT}), "eu", "dc1", "", "2.0.5", texts={"client.node_id": "6f2a"}),
            "6f2a",
            "client",
            id="node ID of a client",
        ),
        pytest.param(
            AgentSelf(frozenset({Role.CLIENT, Role.SERVER}), "eu", "dc1", "b1", "2.0.5", member=Member("b1.eu")),
            "b1.eu",
            "server,client",
            id="both roles",
        ),
    ],
)
def test_info_has_member_name_and_roles(answer: AgentSelf, member: str, role: str) -> None:
    line = f'nomad_agent_info{{member="{member}",nomad_region="eu",datacenter="dc1",version="2.0.5",role="{role}"}} 1'

    assert render_lines(FAMILIES, answer, "nomad_agent_info") == [line]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        pytest.param(AgentSelf(frozenset(), acl_enabled=True), "nomad_agent_acl_enabled 1", id="ACLs on"),
        pytest.param(AgentSelf(frozenset(), acl_enabled=False), "nomad_agent_acl_enabled 0", id="ACLs off"),
        pytest.param(AgentSelf(frozenset(), tls_http=True), "nomad_agent_tls_http 1", id="HTTPS"),
        pytest.param(
            AgentSelf(frozenset(), tls_verify_https_client=False),
            "nomad_agent_tls_verify_https_client 0",
            id="no client certificates",
        ),
        pytest.param(AgentSelf(frozenset(), bootstrap_expect=3), "nomad_agent_bootstrap_expect 3", id="three servers"),
    ],
)
def test_configuration_value_is_rendered(answer: AgentSelf, line: str) -> None:
    assert render_lines(FAMILIES, answer) == [line]


def test_server_with_leader_has_leader_info() -> None:
    answer = decoded("nomad", leader_addr="10.0.0.1:4647")

    assert render_lines(FAMILIES, answer, "nomad_agent_leader_known") == ["nomad_agent_leader_known 1"]
    assert render_lines(FAMILIES, answer, "nomad_agent_leader_info") == [
        'nomad_agent_leader_info{address="10.0.0.1:4647"} 1'
    ]


def test_server_without_leader_has_leader_known_0() -> None:
    assert render_lines(FAMILIES, decoded("nomad", leader_addr=""), "nomad_agent_leader_known") == [
        "nomad_agent_leader_known 0"
    ]


def test_client_has_no_leader_known() -> None:
    assert render_lines(FAMILIES, CLIENT, "nomad_agent_leader_known") == []


@pytest.mark.parametrize(("ttl", "registered"), [("15.1s", 1), ("0s", 0)], ids=["registered", "not registered yet"])
def test_client_registered_depends_on_heartbeat_ttl(ttl: str, registered: int) -> None:
    answer = decoded("client", heartbeat_ttl=ttl)

    assert render_lines(FAMILIES, answer, "nomad_agent_client_registered") == [
        f"nomad_agent_client_registered {registered}"
    ]


def test_server_has_no_client_registered() -> None:
    assert render_lines(FAMILIES, SERVER, "nomad_agent_client_registered") == []


@pytest.mark.parametrize(
    ("servers", "number"),
    [
        pytest.param("10.0.0.1:4647", 1, id="one"),
        pytest.param("10.0.0.1:4647,10.0.0.2:4647", 2, id="two"),
        pytest.param("10.0.0.1:4647,10.0.0.1:4647", 1, id="the same twice, as on a starting agent"),
    ],
)
def test_known_servers_are_counted_once_each(servers: str, number: int) -> None:
    lines = render_lines(FAMILIES, decoded("client", known_servers=servers), "nomad_agent_client_known_servers")

    assert lines == [f"nomad_agent_client_known_servers {number}"]


@pytest.mark.parametrize("state", RAFT_STATES)
def test_server_has_one_raft_state(state: str) -> None:
    lines = render_lines(FAMILIES, decoded("raft", state=state), "nomad_agent_raft_state")

    assert len(lines) == len(RAFT_STATES)
    assert [line for line in lines if not line.endswith(" 0")] == [f'nomad_agent_raft_state{{state="{state}"}} 1']


def test_raft_configuration_is_listed_and_counted() -> None:
    servers = (
        RaftServer("Voter", "id1", "10.0.0.1:4647"),
        RaftServer("Nonvoter", "id2", "[::1]:4647"),
        RaftServer("Voter", "id3", "10.0.0.3:4647"),
    )
    answer = AgentSelf(frozenset(), configuration=servers)

    assert render_lines(FAMILIES, answer) == [
        'nomad_agent_raft_servers{suffrage="Voter"} 2',
        'nomad_agent_raft_servers{suffrage="Nonvoter"} 1',
        'nomad_agent_raft_servers{suffrage="Staging"} 0',
        'nomad_agent_raft_server_info{id="id1",address="10.0.0.1:4647",suffrage="Voter"} 1',
        'nomad_agent_raft_server_info{id="id2",address="[::1]:4647",suffrage="Nonvoter"} 1',
        'nomad_agent_raft_server_info{id="id3",address="10.0.0.3:4647",suffrage="Voter"} 1',
    ]


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        pytest.param(
            {"raft.logstore_backend": "wal"}, 'nomad_agent_raft_logstore_info{backend="wal"} 1', id="log store"
        ),
        pytest.param({"client.node_id": "6f2a"}, 'nomad_agent_client_info{node_id="6f2a"} 1', id="node"),
        pytest.param(
            {"runtime.kernel.name": "linux", "runtime.arch": "arm64", "runtime.version": "go1.24.7"},
            'nomad_agent_runtime_info{kernel_name="linux",arch="arm64",version="go1.24.7"} 1',
            id="runtime",
        ),
    ],
)
def test_text_is_the_label_of_an_info(texts: Mapping[str, str], line: str) -> None:
    assert render_lines(FAMILIES, AgentSelf(frozenset(), texts=texts), line.partition("{")[0]) == [line]


def unknown_values(kinds: Mapping[str, Kind], **stats: str) -> dict[str, Number]:
    """Return the values of unknown Raft stats by the name of their family, for these learned ``kinds``."""
    answer = AgentSelf(frozenset(), unknown={f"raft.{key}": text for key, text in stats.items()})
    return {header.name: number for header, number in unknown(answer, kinds)}


@pytest.mark.parametrize(
    ("kind", "text", "name", "number"),
    [
        pytest.param(Kind.NUMBER, "12", "nomad_agent_raft_new", 12, id="a number"),
        pytest.param(Kind.BOOL, "true", "nomad_agent_raft_new", 1, id="a bool"),
        pytest.param(Kind.DURATION, "1.5ms", "nomad_agent_raft_new_seconds", 0.0015, id="a duration"),
        pytest.param(Kind.DURATION, "0", "nomad_agent_raft_new_seconds", 0, id="a duration that is zero now"),
    ],
)
def test_unknown_stat_is_named_like_a_known_one(kind: Kind, text: str, name: str, number: Number) -> None:
    assert unknown_values({"raft.new": kind}, new=text) == {name: number}


def test_unknown_zero_of_no_known_kind_is_a_number() -> None:
    assert unknown_values({}, new="0") == {"nomad_agent_raft_new": 0}


@pytest.mark.parametrize("text", ["boltdb", "", "never", "true"])
def test_unknown_text_is_not_rendered(text: str) -> None:
    assert unknown_values({"raft.new": Kind.NUMBER}, new=text) == {}


@pytest.mark.parametrize("suffix", ["total", "count", "sum", "bucket", "info", "created"])
def test_unknown_stat_with_reserved_suffix_is_renamed(suffix: str) -> None:
    assert unknown_values({}, **{f"new_{suffix}": "3"}) == {f"nomad_agent_raft_new_{suffix}_stat": 3}


def test_help_of_unknown_stat_names_its_origin() -> None:
    [(header, _)] = unknown(AgentSelf(frozenset(), unknown={"serf.new": "3"}), {})

    assert header == Header("nomad_agent_serf_new", "gauge", "Stat unknown to this exporter. (self: stats.serf.new)")
