"""``self`` of every Nomad since 0.5: exactly what the agent sent; an invalid field loses only its value."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import stats
from nomad_exporter.nomad.lenient import ERRORS, TEXT_LIMIT
from nomad_exporter.nomad.models import AgentSelf, RaftServer, Role
from nomad_exporter.nomad.sources import SELF, Reply
from nomad_exporter.nomad.sources.agent_self import RAFT_SERVERS_LIMIT, UNKNOWN_LIMIT
from nomad_exporter.nomad.stats import Kind
from tests.support.answers import recorded, self_body
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if (answer := s.answers.get(SELF.path)) and answer.status == 200]

FOLLOWER = "2.0.5/healthy/s1-follower"
CLIENT = "2.0.5/healthy/c1-client"
BOTH = "2.0.5/single/bacon-mac"
DOCUMENTED = "0.5.5-documented/single/bacon-mac"


def decode(body: bytes) -> AgentSelf:
    return SELF.decode(Reply(200, body))


def decode_recorded(name: str) -> AgentSelf:
    return decode(recorded(name).body)


def decoded(**parts: Any) -> AgentSelf:
    return decode(self_body(**parts))


def raft(**values: Any) -> AgentSelf:
    return decoded(stats={"raft": values})


def client(**values: Any) -> AgentSelf:
    return decoded(stats={"client": values})


# Recorded answers.


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_have_no_unknown_stats(name: str) -> None:
    answer = decode_recorded(name)

    assert answer.invalid_fields == ()
    assert answer.unknown == {}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_have_a_version(name: str) -> None:
    assert decode_recorded(name).version == name.partition("/")[0].replace("-documented", "-dev")


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        pytest.param(FOLLOWER, {Role.SERVER}, id="server"),
        pytest.param(CLIENT, {Role.CLIENT}, id="client"),
        pytest.param(BOTH, {Role.SERVER, Role.CLIENT}, id="both"),
        pytest.param(DOCUMENTED, {Role.SERVER, Role.CLIENT}, id="both, before 0.6"),
    ],
)
def test_roles_follow_from_groups_of_stats(name: str, roles: set[Role]) -> None:
    assert decode_recorded(name).roles == roles


def test_configuration_of_server_is_decoded() -> None:
    answer = decode_recorded(FOLLOWER)

    assert (answer.region, answer.datacenter, answer.node_name) == ("global", "dc1", "s1")
    assert (answer.acl_enabled, answer.tls_http, answer.tls_verify_https_client) == (False, False, False)
    assert answer.bootstrap_expect == 3
    assert answer.member
    assert (answer.member.name, answer.member.address) == ("s1.global", "127.0.1.1:4647")


def test_stats_of_follower_are_decoded() -> None:
    answer = decode_recorded(FOLLOWER)

    assert answer.numbers["raft.commit_index"] == 13
    assert answer.numbers["raft.last_contact"] == 0.010082549
    assert answer.numbers["serf.encrypted"] == 0
    assert answer.texts["raft.state"] == "Follower"
    assert answer.texts["nomad.leader_addr"] == "127.0.1.2:4647"
    assert answer.texts["runtime.kernel.name"] == "linux"


def test_stats_of_client_are_decoded() -> None:
    answer = decode_recorded(CLIENT)

    assert answer.numbers["client.heartbeat_ttl"] == 11.818462123
    assert answer.texts["client.known_servers"] == "127.0.1.1:4647,127.0.1.2:4647,127.0.1.3:4647"


def test_client_has_no_member_and_no_raft_stats() -> None:
    answer = decode_recorded(CLIENT)

    assert answer.member is None
    assert answer.configuration is None
    assert answer.bootstrap_expect is None
    assert not [path for path in answer.numbers if path.startswith(("raft", "serf", "nomad"))]


def test_enabled_acl_is_decoded() -> None:
    assert decode_recorded("2.0.5/acl/management").acl_enabled is True


def test_fields_missing_in_old_nomad_are_none() -> None:
    answer = decode_recorded(DOCUMENTED)

    assert answer.acl_enabled is None
    assert answer.tls_verify_https_client is None
    assert answer.node_name == ""


def test_server_without_leader_has_no_leader_address() -> None:
    answer = decode_recorded("2.0.5/no-leader/s3-follower")

    assert "nomad.leader_addr" not in answer.texts
    assert answer.texts["raft.state"] == "Candidate"


def test_unregistered_client_has_no_heartbeat_ttl() -> None:
    assert "client.heartbeat_ttl" not in decode_recorded("2.0.5/never-registered/c9-client").numbers


def test_rejoined_server_is_nonvoter_in_configuration() -> None:
    configuration = decode_recorded("2.0.5/rejoined-nonvoter/s1-leader").configuration

    assert configuration
    assert sorted(server.suffrage for server in configuration) == ["Nonvoter", "Voter", "Voter"]


# Values and null values.


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("never", None, id="never is absent"),
        pytest.param("0", 0.0, id="zero of a leader, without a unit"),
        pytest.param("37.821µs", 3.7821e-05, id="microseconds"),
        pytest.param("12.345678ms", 0.012345678, id="milliseconds"),
    ],
)
def test_last_contact_is_decoded(text: str, number: float | None) -> None:
    answer = raft(last_contact=text)

    assert answer.numbers.get("raft.last_contact") == number
    assert answer.invalid_fields == ()


def test_last_heartbeat_of_292_years_is_absent() -> None:
    answer = client(last_heartbeat="2562047h47m16.854775807s")

    assert answer.numbers == {}
    assert answer.invalid_fields == ()


def test_heartbeat_ttl_of_zero_is_absent() -> None:
    answer = client(heartbeat_ttl="0s")

    assert answer.numbers == {}
    assert answer.invalid_fields == ()


@pytest.mark.parametrize(
    ("group", "key", "text"),
    [
        pytest.param("raft", "last_contact", "never", id="no contact from a leader yet"),
        pytest.param("nomad", "leader_addr", "", id="no leader"),
        pytest.param("client", "heartbeat_ttl", "0s", id="not registered"),
        pytest.param("client", "last_heartbeat", "2562047h47m16.854775807s", id="no heartbeat yet, before 0.11.2"),
    ],
)
def test_null_value_is_listed_in_null_paths(group: str, key: str, text: str) -> None:
    assert decoded(stats={group: {key: text}}).null_paths == {f"{group}.{key}"}


def test_missing_stat_is_not_in_null_paths() -> None:
    assert raft(term="4").null_paths == frozenset()


def test_client_without_known_servers_has_empty_text() -> None:
    assert client(known_servers="").texts == {"client.known_servers": ""}


@pytest.mark.parametrize(
    "vault",
    [
        pytest.param({"token_ttl": "0s"}, id="TTL of zero"),
        pytest.param({"token_expire_time": "", "token_next_renewal_time": ""}, id="empty times"),
    ],
)
def test_stats_without_vault_token_are_absent(vault: dict[str, str]) -> None:
    answer = decoded(stats={"vault": vault})

    assert answer.numbers == {}
    assert answer.invalid_fields == ()


def test_vault_token_times_are_unix_times() -> None:
    answer = decoded(stats={"vault": {"token_ttl": "767h59m45s", "token_expire_time": "2026-01-02T03:04:05Z"}})

    assert answer.numbers == {"vault.token_ttl": 2764785.0, "vault.token_expire_time": 1767323045.0}


# The version, whose format changed in 0.6.1.


@pytest.mark.parametrize(
    ("config", "version"),
    [
        pytest.param({"Version": {"Version": "2.0.5"}}, "2.0.5", id="object"),
        pytest.param(
            {"Version": {"Version": "1.11.0", "VersionPrerelease": "beta.1", "VersionMetadata": ""}},
            "1.11.0-beta.1",
            id="prerelease",
        ),
        pytest.param(
            {"Version": {"Version": "2.0.5", "VersionPrerelease": "", "VersionMetadata": "ent"}},
            "2.0.5+ent",
            id="edition",
        ),
        pytest.param({"Version": "0.5.6", "VersionPrerelease": ""}, "0.5.6", id="text, before 0.6.1"),
        pytest.param({"Version": "0.5.5", "VersionPrerelease": "dev"}, "0.5.5-dev", id="text and prerelease"),
        pytest.param({}, "", id="missing"),
        pytest.param({"Version": None}, "", id="null"),
    ],
)
def test_version_is_decoded_from_object_or_text(config: dict[str, Any], version: str) -> None:
    answer = decoded(config=config)

    assert answer.version == version
    assert answer.invalid_fields == ()


# bootstrap_expect.


@pytest.mark.parametrize(
    ("server", "tags", "expected"),
    [
        pytest.param({"BootstrapExpect": 3}, {}, 3, id="from the configuration"),
        pytest.param({"BootstrapExpect": 0}, {"expect": "5"}, 5, id="from the tag if 0"),
        pytest.param(None, {"expect": "5"}, 5, id="from the tag alone"),
        pytest.param({"BootstrapExpect": 0}, {}, None, id="not set"),
        pytest.param({}, {"expect": "many"}, None, id="tag is not a number"),
        pytest.param({}, {"expect": "12345"}, None, id="tag is too large"),
    ],
)
def test_bootstrap_expect_is_decoded(server: Any, tags: dict[str, str], expected: int | None) -> None:
    member = {"Name": "s1.global", "Status": "alive", "Tags": tags}

    assert decoded(config={"Server": server}, member=member).bootstrap_expect == expected


# The raft configuration.

UUID = "41cc56e1-62f2-ab70-7b94-f2d203918cf5"


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        pytest.param("[]", (), id="empty"),
        pytest.param(
            f"[{{Suffrage:Voter ID:{UUID} Address:10.0.0.1:4647}} {{Suffrage:Nonvoter ID:u2 Address:10.0.0.2:4647}}]",
            (RaftServer("Voter", UUID, "10.0.0.1:4647"), RaftServer("Nonvoter", "u2", "10.0.0.2:4647")),
            id="in the order of the answer",
        ),
        pytest.param(
            "[{Suffrage:Staging ID:u1 Address:[2001:db8::1]:4647}]",
            (RaftServer("Staging", "u1", "[2001:db8::1]:4647"),),
            id="IPv6",
        ),
        pytest.param(
            "[{Suffrage:Voter ID:[::1]:4647 Address:[::1]:4647}]",
            (RaftServer("Voter", "[::1]:4647", "[::1]:4647"),),
            id="raft protocol 2, IDs are addresses",
        ),
        pytest.param(
            "[{Suffrage:Voter ID:rack 7, unit 3 Address:nomad.example:4647}]",
            (RaftServer("Voter", "rack 7, unit 3", "nomad.example:4647"),),
            id="ID with spaces",
        ),
    ],
)
def test_raft_configuration_is_decoded(text: str, servers: tuple[RaftServer, ...]) -> None:
    answer = raft(latest_configuration=text)

    assert answer.configuration == servers
    assert answer.invalid_fields == ()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{Suffrage:Voter ID:u1 Address:10.0.0.1:4647}", id="no brackets"),
        pytest.param("[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647}", id="truncated"),
        pytest.param(
            "[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647}, {Suffrage:Voter ID:u2 Address:10.0.0.2:4647}]", id="commas"
        ),
        pytest.param("[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647 Zone:a}]", id="additional field"),
        pytest.param("[{Suffrage:Witness ID:u1 Address:10.0.0.1:4647}]", id="unknown suffrage"),
        pytest.param("[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647} {Suffrage:Voter ID:u2}]", id="incomplete server"),
    ],
)
def test_partly_invalid_configuration_is_rejected(text: str) -> None:
    answer = raft(latest_configuration=text)

    assert answer.configuration is None
    assert answer.invalid_fields == ("stats.raft.latest_configuration",)


def test_configuration_up_to_limit_is_decoded() -> None:
    longest = f"{'x' * 253}:65535"
    servers = [f"{{Suffrage:Nonvoter ID:{number}{UUID} Address:{number}{longest}}}" for number in range(100)]
    answer = raft(latest_configuration=f"[{' '.join(servers)}]")

    assert answer.configuration
    assert len(answer.configuration) == RAFT_SERVERS_LIMIT == 100


@pytest.mark.parametrize("path", ["latest_configuration", "raft_peers"])
@pytest.mark.parametrize(
    "servers",
    [
        pytest.param([("", "a:1")], id="empty ID"),
        pytest.param([("u1", "")], id="empty address"),
        pytest.param([("u1", "a:1"), ("u1", "b:1")], id="duplicate ID"),
        pytest.param([("u1", "a:1"), ("u2", "a:1")], id="duplicate address"),
        pytest.param([(f"u{n}", f"a:{n}") for n in range(RAFT_SERVERS_LIMIT + 1)], id="too many"),
        pytest.param([("", "")] * 2000, id="many empty servers"),
    ],
)
def test_configuration_that_raft_would_refuse_is_rejected(path: str, servers: list[tuple[str, str]]) -> None:
    formatted = " ".join(f"{{Suffrage:Voter ID:{server_id} Address:{address}}}" for server_id, address in servers)
    duplicates = ",".join(address for _, address in servers) + ",a:1,a:1"
    answer = raft(**{path: f"[{formatted}]" if path == "latest_configuration" else duplicates})

    assert answer.configuration is None
    assert answer.invalid_fields == (f"stats.raft.{path}",)


def test_raft_peers_are_voters_before_0_5_5() -> None:
    answer = raft(raft_peers="10.0.0.1:4647,[::1]:4647")

    assert answer.configuration == (
        RaftServer("Voter", "10.0.0.1:4647", "10.0.0.1:4647"),
        RaftServer("Voter", "[::1]:4647", "[::1]:4647"),
    )
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("values", [{}, {"raft_peers": ""}], ids=["missing", "empty"])
def test_server_without_peers_has_no_configuration(values: dict[str, str]) -> None:
    assert raft(**values).configuration is None


def test_many_known_servers_are_counted() -> None:
    servers = ",".join(f"[2001:db8:0:0:0:0:0:{number:04x}]:4647" for number in range(100))
    answer = decoded(stats={"client": {"known_servers": servers}})

    assert answer.texts["client.known_servers"] == servers


# Stats of a later Nomad.


def test_unknown_stat_of_known_group_is_kept() -> None:
    answer = raft(lease_timeout="500ms", backend="wal")

    assert answer.unknown == {"raft.lease_timeout": "500ms", "raft.backend": "wal"}
    assert answer.invalid_fields == ()


def test_unknown_group_is_ignored() -> None:
    answer = decoded(stats={"autopilot": {"healthy": "true"}, "licence": ["anything"]})

    assert answer.unknown == {}
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("key", ["Upper", "a-b", "a.b", "1st", "_a", "", "é", "a" * 65, 'a"} 1\nb'], ids=ascii)
def test_unknown_stat_with_unusual_name_is_ignored(key: str) -> None:
    assert raft(**{key: "1"}).unknown == {}


def test_selection_of_unknown_stats_is_stable() -> None:
    names = [f"key_{number:03}" for number in range(1000)]
    answers = [raft(**dict.fromkeys(order, "1")) for order in (names, reversed(names))]

    assert answers[0].unknown == answers[1].unknown
    assert list(answers[0].unknown) == [f"raft.{name}" for name in names[:UNKNOWN_LIMIT]]


def test_invalid_unknown_stat_is_recorded_without_name() -> None:
    answer = raft(secret_name=7, term="4")

    assert answer.unknown == {}
    assert answer.invalid_fields == ("stats.raft.(unknown)",)
    assert answer.numbers == {"raft.term": 4}


# Invalid values.


def with_stat(stat: stats.Stat, value: object) -> AgentSelf:
    """Decode the answer of an agent with both roles in which one stat has another value."""
    body = json.loads(recorded(BOTH).body)
    body["stats"].setdefault(stat.group, {})[stat.key] = value
    return decode(json.dumps(body).encode())


def without_stat(stat: stats.Stat) -> AgentSelf:
    """Return the answer of that agent without the value of the stat, which is listed as invalid."""
    complete = decode_recorded(BOTH)
    return replace(
        complete,
        numbers={path: number for path, number in complete.numbers.items() if path != stat.path},
        texts={path: text for path, text in complete.texts.items() if path != stat.path},
        configuration=None if stat.path == "raft.latest_configuration" else complete.configuration,
        invalid_fields=(f"stats.{stat.path}",),
    )


@pytest.mark.parametrize("stat", stats.STATS, ids=lambda s: str(s.path))
def test_stat_of_wrong_type_loses_only_its_value(stat: stats.Stat) -> None:
    assert with_stat(stat, 7) == without_stat(stat)


@pytest.mark.parametrize("stat", [s for s in stats.STATS if s.kind is not Kind.TEXT], ids=lambda s: str(s.path))
def test_invalid_number_loses_only_its_value(stat: stats.Stat) -> None:
    assert with_stat(stat, "NaN") == without_stat(stat)


@pytest.mark.parametrize("stat", [s for s in stats.STATS if s.kind is Kind.TEXT], ids=lambda s: str(s.path))
def test_too_long_text_loses_only_its_value(stat: stats.Stat) -> None:
    assert with_stat(stat, "x" * 100_000) == without_stat(stat)


@pytest.mark.parametrize("value", [True, 1.5, [], ["4"], {}, "4" * 10_000], ids=lambda value: repr(value)[:8])
def test_any_wrong_json_type_loses_only_its_value(value: object) -> None:
    answer = raft(term=value, commit_index="13")

    assert answer.numbers == {"raft.commit_index": 13}
    assert answer.invalid_fields == ("stats.raft.term",)


def test_json_null_is_absent_and_valid() -> None:
    answer = raft(term=None, commit_index="13")

    assert answer.numbers == {"raft.commit_index": 13}
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("group", [7, "none", [], ["raft"], True], ids=repr)
def test_invalid_group_loses_only_its_stats(group: object) -> None:
    answer = decoded(stats={"raft": group, "serf": {"members": "3"}})

    assert answer.numbers == {"serf.members": 3}
    assert answer.invalid_fields == ("stats.raft",)


@pytest.mark.parametrize(
    ("config", "invalid"),
    [
        pytest.param({"Region": 7}, "config.Region", id="region is a number"),
        pytest.param({"Datacenter": ["dc1"]}, "config.Datacenter", id="datacenter is a list"),
        pytest.param({"NodeName": "x" * 10_000}, "config.NodeName", id="node name of 10 kB"),
        pytest.param({"Version": 7}, "config.Version", id="version is a number"),
        pytest.param({"Version": {"Version": 7}}, "config.Version", id="version field is a number"),
        pytest.param({"ACL": "on"}, "config.ACL", id="ACL is a text"),
        pytest.param({"ACL": {"Enabled": "true"}}, "config.ACL", id="boolean is a text"),
        pytest.param({"TLSConfig": [True]}, "config.TLSConfig", id="TLS is a list"),
        pytest.param({"Server": [3]}, "config.Server", id="server is a list"),
        pytest.param({"Server": {"BootstrapExpect": "3"}}, "config.Server.BootstrapExpect", id="number is a text"),
        pytest.param(
            {"Server": {"BootstrapExpect": 10**400}},
            "config.Server.BootstrapExpect",
            id="number with 401 digits",
        ),
    ],
)
def test_invalid_config_field_loses_only_its_value(config: dict[str, Any], invalid: str) -> None:
    body = json.loads(recorded(CLIENT).body)
    complete = decode_recorded(CLIENT)
    body["config"] |= config
    answer = decode(json.dumps(body).encode())

    fields = ("region", "datacenter", "node_name", "version", "acl_enabled", "tls_http", "bootstrap_expect")
    assert sum(getattr(answer, field) != getattr(complete, field) for field in fields) <= 1
    assert (answer.numbers, answer.texts) == (complete.numbers, complete.texts)
    assert answer.invalid_fields == (invalid,)


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        pytest.param({"Version": "2.0.5", "VersionMetadata": 7}, "2.0.5", id="metadata is a number"),
        pytest.param({"Version": "2.0.5", "VersionPrerelease": ["beta"]}, "2.0.5", id="prerelease is a list"),
        pytest.param({"Version": "x" * 10_000}, "", id="version of 10 kB"),
    ],
)
def test_invalid_part_of_version_loses_only_that_part(fields: dict[str, Any], version: str) -> None:
    answer = decoded(config={"Version": fields})

    assert answer.version == version
    assert answer.invalid_fields == ("config.Version",)


@pytest.mark.parametrize("config", [7, "none", ["dc1"]], ids=repr)
def test_invalid_config_loses_only_its_fields(config: Any) -> None:
    body = json.loads(recorded(FOLLOWER).body)
    body["config"] = config
    answer = decode(json.dumps(body).encode())

    assert answer.region == ""
    assert answer.numbers == decode_recorded(FOLLOWER).numbers
    assert answer.invalid_fields == ("config",)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(None, id="null"),
        pytest.param({"Name": "", "Addr": None, "Port": 0, "Tags": None, "Status": "none"}, id="member of a client"),
    ],
)
def test_missing_member_is_valid(member: Any) -> None:
    answer = decoded(member=member)

    assert answer.member is None
    assert answer.invalid_fields == ()


def test_invalid_member_loses_only_the_member() -> None:
    answer = decoded(member=["s1"], stats={"raft": {"term": "4"}})

    assert answer.member is None
    assert answer.numbers == {"raft.term": 4}
    assert answer.invalid_fields == ("member",)


def test_only_allowed_config_fields_are_decoded() -> None:
    secret = "02MV4UU43BK5HGYY"
    config = {
        "Server": {"BootstrapExpect": 3, "LicenseEnv": secret},
        "Client": {"IntroToken": secret},
        "Consuls": [{"Token": secret, "Auth": f"user:{secret}"}],
        "HTTPAPIResponseHeaders": {"X-Token": secret},
    }

    assert secret not in repr(decoded(config=config))


# Invalid bodies.


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"Permission denied", id="plain text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b'{"stats": {"nomad": {}}', id="truncated"),
        pytest.param(b'{"stats": {"nomad": {}}} {}', id="data after the end"),
        pytest.param(b'{"stats": null}', id="stats are null"),
        pytest.param(b'{"stats": [{"nomad": {}}]}', id="stats are a list"),
        pytest.param(b'{"stats": {"nomad": {"leader": NaN}}}', id="NaN, which is not JSON"),
        pytest.param(b'{"stats": {"nomad": {}}, "config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="nested"),
        pytest.param(b'{"stats": {"nomad": {}, "\\ud800": {}}}', id="lone surrogate in a key"),
        pytest.param(b'{"stats": {"nomad": {"leader_addr": "\\udc00"}}}', id="lone surrogate in a value"),
    ],
)
def test_invalid_body_is_rejected(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode(body)


@pytest.mark.parametrize("groups", [{}, {"runtime": {"arch": "amd64"}}, {"raft": {"term": "4"}}], ids=repr)
def test_answer_without_role_is_rejected(groups: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no stats of a server or a client"):
        decode(json.dumps({"stats": groups}).encode())


@pytest.mark.parametrize("text", [b'"\xff"', b'"\xed\xa0\x80"'], ids=["invalid byte", "surrogate"])
def test_text_that_is_not_utf_8_loses_only_its_value(text: bytes) -> None:
    body = b'{"stats": {"nomad": {"leader_addr": %b, "leader": "true"}}, "config": {"Region": %b}}' % (text, text)
    answer = decode(body)

    assert (answer.texts, answer.numbers, answer.region) == ({}, {"nomad.leader": 1}, "")
    assert answer.invalid_fields == ("stats.nomad.leader_addr", "config.Region")


def test_last_of_duplicate_keys_wins() -> None:
    answer = decode(b'{"stats": {"nomad": {"known_regions": "1", "known_regions": "2"}}}')

    assert answer.numbers == {"nomad.known_regions": 2}


# Random bodies.

KEYS = st.sampled_from(
    ["stats", "config", "member", "nomad", "raft", "client", "term", "Version", "Region", "Tags", "Name"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), values, max_size=4),
    max_leaves=15,
)
GROUPS = st.dictionaries(st.sampled_from(stats.GROUPS), JSON, max_size=3)
BODIES = st.binary(max_size=50) | st.fixed_dictionaries(
    {"stats": GROUPS | JSON}, optional={"config": JSON, "member": JSON}
).map(lambda tree: json.dumps(tree).encode())


@given(body=BODIES)
@settings(max_examples=200, deadline=None)
def test_any_body_is_decoded_or_raises_known_error(body: bytes) -> None:
    try:
        answer = decode(body)
    except ERRORS:
        return

    assert answer.roles
    assert all(len(text) <= TEXT_LIMIT for text in (*answer.texts.values(), *answer.unknown.values()))


@given(position=st.integers(min_value=0), replacement=st.binary(max_size=3))
@settings(max_examples=200, deadline=None)
def test_corrupt_recording_is_decoded_or_raises_known_error(position: int, replacement: bytes) -> None:
    body = recorded(CLIENT).body
    start = position % len(body)
    try:
        answer = decode(body[:start] + replacement + body[start + len(replacement) :])
    except ERRORS:
        return

    assert answer.roles


def test_recorded_invalid_fields_are_limited() -> None:
    answer = decode(self_body(stats={"raft": {f"key_{number}": number for number in range(100_000)}}))

    assert len(answer.invalid_fields) <= 1000
