"""What of an agent's answer about itself is shown: its numbers by rule, its facts one by one, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from nomad_exporter.metrics.families.agent_self import SELF, family_name, unknown
from nomad_exporter.metrics.family import Header
from nomad_exporter.nomad import sources
from nomad_exporter.nomad.models import RAFT_STATES, AgentSelf, Member, RaftServer, Role
from nomad_exporter.nomad.sources import Reply
from nomad_exporter.nomad.stats import STATS, Kind, Number, Stat
from tests.unit.metrics.showing import shown

NOBODY = AgentSelf(roles=frozenset())
SERVER = AgentSelf(roles=frozenset({Role.SERVER}))
CLIENT = AgentSelf(roles=frozenset({Role.CLIENT}))


def decoded(group: str, **stats: str) -> AgentSelf:
    """The answer of an agent that tells only these stats of itself."""
    answer = sources.agent_self(Reply(200, json.dumps({"stats": {"nomad": {}, "client": {}, group: stats}}).encode()))
    assert isinstance(answer, AgentSelf)
    return answer


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        pytest.param("raft.commit_index", Kind.NUMBER, "nomad_agent_raft_commit_index", id="group and key"),
        pytest.param("nomad.known_regions", Kind.NUMBER, "nomad_agent_known_regions", id="the group nomad is left out"),
        pytest.param("serf.encrypted", Kind.BOOL, "nomad_agent_serf_encrypted", id="a truth has no unit"),
        pytest.param("raft.last_contact", Kind.DURATION, "nomad_agent_raft_last_contact_seconds", id="seconds"),
        pytest.param(
            "vault.token_expire_time", Kind.TIME, "nomad_agent_vault_token_expire_timestamp_seconds", id="a time"
        ),
        pytest.param("serf.member_time", Kind.NUMBER, "nomad_agent_serf_member_time", id="a Lamport clock is no time"),
        pytest.param("runtime.cpu_count", Kind.NUMBER, "nomad_agent_runtime_cpus", id="no gauge ends in _count"),
        pytest.param("runtime.kernel.age", Kind.NUMBER, "nomad_agent_runtime_kernel_age", id="a key with a dot"),
    ],
)
def test_a_stat_keeps_nomads_own_name(path: str, kind: Kind, name: str) -> None:
    assert family_name(path, kind) == name


@pytest.mark.parametrize("stat", [stat for stat in STATS if stat.kind is not Kind.TEXT], ids=lambda stat: stat.path)
def test_a_number_is_shown_as_it_is_and_its_help_names_the_stat(stat: Stat) -> None:
    name = family_name(stat.path, stat.kind)
    family = next(family for family in SELF if family.name == name)

    assert shown(SELF, AgentSelf(roles=frozenset(), numbers={stat.path: 7}), name) == [f"{name} 7"]
    assert family.header.help == f"{stat.help} (self: stats.{stat.path})"


def test_nothing_is_shown_of_what_the_agent_did_not_say() -> None:
    assert shown(SELF, NOBODY) == []


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
def test_what_nomad_says_for_nothing_is_absent_and_no_flaw(group: str, key: str, text: str, family: str) -> None:
    answer = decoded(group, **{key: text})

    assert shown(SELF, answer, family) == []
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
def test_a_nothing_that_is_meant_is_zero(group: str, key: str, text: str, line: str) -> None:
    assert line in shown(SELF, decoded(group, **{key: text}))


@pytest.mark.parametrize(
    ("answer", "member", "role"),
    [
        pytest.param(
            AgentSelf(frozenset({Role.SERVER}), "eu", "dc1", "s1", "2.0.5", member=Member("s1.eu")),
            "s1.eu",
            "server",
            id="a server has its name in gossip",
        ),
        pytest.param(
            AgentSelf(frozenset({Role.CLIENT}), "eu", "dc1", "c1", "2.0.5"), "c1", "client", id="a client its node name"
        ),
        pytest.param(
            AgentSelf(frozenset({Role.CLIENT, Role.SERVER}), "eu", "dc1", "b1", "2.0.5", member=Member("b1.eu")),
            "b1.eu",
            "server,client",
            id="both roles",
        ),
    ],
)
def test_an_agent_says_what_it_is(answer: AgentSelf, member: str, role: str) -> None:
    line = f'nomad_agent_info{{member="{member}",nomad_region="eu",datacenter="dc1",version="2.0.5",role="{role}"}} 1'

    assert shown(SELF, answer, "nomad_agent_info") == [line]


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
def test_a_fact_of_the_configuration_is_shown_alone(answer: AgentSelf, line: str) -> None:
    assert shown(SELF, answer) == [line]


def test_a_server_that_knows_a_leader_names_it() -> None:
    answer = decoded("nomad", leader_addr="10.0.0.1:4647")

    assert shown(SELF, answer, "nomad_agent_leader_known") == ["nomad_agent_leader_known 1"]
    assert shown(SELF, answer, "nomad_agent_leader_info") == ['nomad_agent_leader_info{address="10.0.0.1:4647"} 1']


def test_a_server_without_a_leader_says_so() -> None:
    assert shown(SELF, decoded("nomad", leader_addr=""), "nomad_agent_leader_known") == ["nomad_agent_leader_known 0"]


def test_a_client_does_not_judge_whether_there_is_a_leader() -> None:
    assert shown(SELF, CLIENT, "nomad_agent_leader_known") == []


@pytest.mark.parametrize(("ttl", "registered"), [("15.1s", 1), ("0s", 0)], ids=["registered", "not registered yet"])
def test_a_client_says_whether_it_has_registered(ttl: str, registered: int) -> None:
    answer = decoded("client", heartbeat_ttl=ttl)

    assert shown(SELF, answer, "nomad_agent_client_registered") == [f"nomad_agent_client_registered {registered}"]


def test_a_server_is_not_registered_as_a_client() -> None:
    assert shown(SELF, SERVER, "nomad_agent_client_registered") == []


@pytest.mark.parametrize(
    ("told", "number"),
    [
        pytest.param("10.0.0.1:4647", 1, id="one"),
        pytest.param("10.0.0.1:4647,10.0.0.2:4647", 2, id="two"),
        pytest.param("10.0.0.1:4647,10.0.0.1:4647", 1, id="the same twice, as of an agent that starts"),
    ],
)
def test_the_servers_that_a_client_knows_are_counted_once_each(told: str, number: int) -> None:
    lines = shown(SELF, decoded("client", known_servers=told), "nomad_agent_client_known_servers")

    assert lines == [f"nomad_agent_client_known_servers {number}"]


@pytest.mark.parametrize("state", RAFT_STATES)
def test_a_server_is_in_one_raft_state(state: str) -> None:
    lines = shown(SELF, decoded("raft", state=state), "nomad_agent_raft_state")

    assert len(lines) == len(RAFT_STATES)
    assert [line for line in lines if not line.endswith(" 0")] == [f'nomad_agent_raft_state{{state="{state}"}} 1']


def test_the_raft_configuration_is_shown_server_by_server_and_counted() -> None:
    servers = (
        RaftServer("Voter", "id1", "10.0.0.1:4647"),
        RaftServer("Nonvoter", "id2", "[::1]:4647"),
        RaftServer("Voter", "id3", "10.0.0.3:4647"),
    )
    answer = AgentSelf(frozenset(), configuration=servers)

    assert shown(SELF, answer) == [
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
def test_a_text_is_a_label_of_an_info(texts: Mapping[str, str], line: str) -> None:
    assert shown(SELF, AgentSelf(frozenset(), texts=texts)) == [line]


def learned(kinds: Mapping[str, Kind], **stats: str) -> dict[str, Number]:
    """The families of stats of raft that the exporter does not know, once it has learned their ``kinds``."""
    answer = AgentSelf(frozenset(), unknown={f"raft.{key}": text for key, text in stats.items()})
    return {header.name: number for header, number in unknown(answer, kinds)}


@pytest.mark.parametrize(
    ("kind", "text", "name", "number"),
    [
        pytest.param(Kind.NUMBER, "12", "nomad_agent_raft_new", 12, id="a number"),
        pytest.param(Kind.BOOL, "true", "nomad_agent_raft_new", 1, id="a truth"),
        pytest.param(Kind.DURATION, "1.5ms", "nomad_agent_raft_new_seconds", 0.0015, id="a duration"),
        pytest.param(Kind.DURATION, "0", "nomad_agent_raft_new_seconds", 0, id="a duration that is zero now"),
    ],
)
def test_an_unknown_stat_is_shown_by_the_rule_of_the_known_ones(
    kind: Kind, text: str, name: str, number: Number
) -> None:
    assert learned({"raft.new": kind}, new=text) == {name: number}


def test_an_unknown_zero_that_proves_no_kind_yet_is_shown_as_a_number() -> None:
    assert learned({}, new="0") == {"nomad_agent_raft_new": 0}


@pytest.mark.parametrize("text", ["boltdb", "", "never", "true"])
def test_an_unknown_text_is_never_shown_as_a_number(text: str) -> None:
    assert learned({"raft.new": Kind.NUMBER}, new=text) == {}


@pytest.mark.parametrize("end", ["total", "count", "sum", "bucket", "info", "created"])
def test_an_unknown_stat_that_ends_as_no_gauge_may_is_given_another_end(end: str) -> None:
    assert learned({}, **{f"new_{end}": "3"}) == {f"nomad_agent_raft_new_{end}_stat": 3}


def test_the_help_of_an_unknown_stat_says_where_it_comes_from() -> None:
    [(header, _)] = unknown(AgentSelf(frozenset(), unknown={"serf.new": "3"}), {})

    assert header == Header(
        "nomad_agent_serf_new", "gauge", "A stat that this exporter does not know. (self: stats.serf.new)"
    )
