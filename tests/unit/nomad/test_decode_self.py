"""``self``: of any Nomad since 0.5, what it said and nothing more, and a broken value costs only itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import decode_self, stats
from nomad_exporter.nomad.lenient import ERRORS, TEXT_LIMIT
from nomad_exporter.nomad.models import AgentSelf, RaftServer, Role
from nomad_exporter.nomad.sources import SELF_PATH
from nomad_exporter.nomad.stats import Kind
from tests.support.answers import recorded, self_body
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if (told := s.answers.get(SELF_PATH)) and told.status == 200]

FOLLOWER = "2.0.5/healthy/s1-follower"
CLIENT = "2.0.5/healthy/c1-client"
BOTH = "2.0.5/single/bacon-mac"
DOCUMENTED = "0.5.5-documented/single/bacon-mac"


def of(name: str) -> AgentSelf:
    return decode_self.decode(recorded(name).body)


def decoded(**parts: Any) -> AgentSelf:
    return decode_self.decode(self_body(**parts))


def raft(**told: Any) -> AgentSelf:
    return decoded(stats={"raft": told})


def client(**told: Any) -> AgentSelf:
    return decoded(stats={"client": told})


# What real agents said.


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_answer_is_known_to_its_last_stat(name: str) -> None:
    answer = of(name)

    assert answer.invalid_fields == ()
    assert answer.unknown == {}


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_agent_says_its_version(name: str) -> None:
    assert of(name).version == name.partition("/")[0].replace("-documented", "-dev")


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        pytest.param(FOLLOWER, {Role.SERVER}, id="a server"),
        pytest.param(CLIENT, {Role.CLIENT}, id="a client"),
        pytest.param(BOTH, {Role.SERVER, Role.CLIENT}, id="both"),
        pytest.param(DOCUMENTED, {Role.SERVER, Role.CLIENT}, id="both, before 0.6"),
    ],
)
def test_the_groups_tell_the_roles(name: str, roles: set[Role]) -> None:
    assert of(name).roles == roles


def test_the_facts_of_a_server_are_read() -> None:
    answer = of(FOLLOWER)

    assert (answer.region, answer.datacenter, answer.node_name) == ("global", "dc1", "s1")
    assert (answer.acl_enabled, answer.tls_http, answer.tls_verify_https_client) == (False, False, False)
    assert answer.bootstrap_expect == 3
    assert answer.member
    assert (answer.member.name, answer.member.address) == ("s1.global", "127.0.1.1:4647")


def test_the_stats_of_a_follower_are_read() -> None:
    answer = of(FOLLOWER)

    assert answer.numbers["raft.commit_index"] == 13
    assert answer.numbers["raft.last_contact"] == 0.010082549
    assert answer.numbers["serf.encrypted"] == 0
    assert answer.texts["raft.state"] == "Follower"
    assert answer.texts["nomad.leader_addr"] == "127.0.1.2:4647"
    assert answer.texts["runtime.kernel.name"] == "linux"


def test_the_stats_of_a_client_are_read() -> None:
    answer = of(CLIENT)

    assert answer.numbers["client.heartbeat_ttl"] == 11.818462123
    assert answer.texts["client.known_servers"] == "127.0.1.1:4647,127.0.1.2:4647,127.0.1.3:4647"


def test_a_client_is_no_member_of_gossip_and_has_no_raft() -> None:
    answer = of(CLIENT)

    assert answer.member is None
    assert answer.configuration is None
    assert answer.bootstrap_expect is None
    assert not [path for path in answer.numbers if path.startswith(("raft", "serf", "nomad"))]


def test_acls_that_are_on_are_told() -> None:
    assert of("2.0.5/acl/management").acl_enabled is True


def test_what_an_old_nomad_does_not_say_is_not_known() -> None:
    answer = of(DOCUMENTED)

    assert answer.acl_enabled is None
    assert answer.tls_verify_https_client is None
    assert answer.node_name == ""


def test_a_server_without_a_leader_names_none() -> None:
    answer = of("2.0.5/no-leader/s3-follower")

    assert "nomad.leader_addr" not in answer.texts
    assert answer.texts["raft.state"] == "Candidate"


def test_a_client_that_never_registered_has_no_ttl() -> None:
    assert "client.heartbeat_ttl" not in of("2.0.5/never-registered/c9-client").numbers


def test_a_server_that_came_back_is_told_as_nonvoter_in_its_own_configuration() -> None:
    configuration = of("2.0.5/rejoined-nonvoter/s1-leader").configuration

    assert configuration
    assert sorted(server.suffrage for server in configuration) == ["Nonvoter", "Voter", "Voter"]


# What is said, and what only looks as if it were.


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("never", None, id="never is not said"),
        pytest.param("0", 0.0, id="the leader's zero, without a unit"),
        pytest.param("37.821µs", 3.7821e-05, id="microseconds"),
        pytest.param("12.345678ms", 0.012345678, id="milliseconds"),
    ],
)
def test_last_contact(text: str, number: float | None) -> None:
    answer = raft(last_contact=text)

    assert answer.numbers.get("raft.last_contact") == number
    assert answer.invalid_fields == ()


def test_the_heartbeat_of_292_years_that_an_old_client_tells_is_not_said() -> None:
    answer = client(last_heartbeat="2562047h47m16.854775807s")

    assert answer.numbers == {}
    assert answer.invalid_fields == ()


def test_a_ttl_of_zero_is_not_said() -> None:
    answer = client(heartbeat_ttl="0s")

    assert answer.numbers == {}
    assert answer.invalid_fields == ()


@pytest.mark.parametrize(
    ("group", "key", "text"),
    [
        pytest.param("raft", "last_contact", "never", id="never heard from a leader"),
        pytest.param("nomad", "leader_addr", "", id="no leader"),
        pytest.param("client", "heartbeat_ttl", "0s", id="not registered"),
        pytest.param("client", "last_heartbeat", "2562047h47m16.854775807s", id="no heartbeat yet, before 0.11.2"),
    ],
)
def test_a_stat_that_says_that_there_is_nothing_is_silent(group: str, key: str, text: str) -> None:
    assert decoded(stats={group: {key: text}}).null_paths == {f"{group}.{key}"}


def test_a_stat_that_is_missing_is_not_called_silent() -> None:
    assert raft(term="4").null_paths == frozenset()


def test_a_client_that_knows_no_server_says_so() -> None:
    assert client(known_servers="").texts == {"client.known_servers": ""}


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"token_ttl": "0s"}, id="a life of zero"),
        pytest.param({"token_expire_time": "", "token_next_renewal_time": ""}, id="empty times"),
    ],
)
def test_a_server_without_a_vault_token_says_nothing_of_one(told: dict[str, str]) -> None:
    answer = decoded(stats={"vault": told})

    assert answer.numbers == {}
    assert answer.invalid_fields == ()


def test_the_times_of_a_vault_token_are_unix_times() -> None:
    answer = decoded(stats={"vault": {"token_ttl": "767h59m45s", "token_expire_time": "2026-01-02T03:04:05Z"}})

    assert answer.numbers == {"vault.token_ttl": 2764785.0, "vault.token_expire_time": 1767323045.0}


# The version, whose form changed in 0.6.1.


@pytest.mark.parametrize(
    ("config", "version"),
    [
        pytest.param({"Version": {"Version": "2.0.5"}}, "2.0.5", id="an object"),
        pytest.param(
            {"Version": {"Version": "1.11.0", "VersionPrerelease": "beta.1", "VersionMetadata": ""}},
            "1.11.0-beta.1",
            id="a prerelease",
        ),
        pytest.param(
            {"Version": {"Version": "2.0.5", "VersionPrerelease": "", "VersionMetadata": "ent"}},
            "2.0.5+ent",
            id="an edition",
        ),
        pytest.param({"Version": "0.5.6", "VersionPrerelease": ""}, "0.5.6", id="a text, before 0.6.1"),
        pytest.param({"Version": "0.5.5", "VersionPrerelease": "dev"}, "0.5.5-dev", id="a text and its sibling"),
        pytest.param({}, "", id="none"),
        pytest.param({"Version": None}, "", id="null"),
    ],
)
def test_the_version_is_read_in_both_of_its_forms(config: dict[str, Any], version: str) -> None:
    answer = decoded(config=config)

    assert answer.version == version
    assert answer.invalid_fields == ()


# How many servers were planned.


@pytest.mark.parametrize(
    ("server", "tags", "expected"),
    [
        pytest.param({"BootstrapExpect": 3}, {}, 3, id="as configured"),
        pytest.param({"BootstrapExpect": 0}, {"expect": "5"}, 5, id="else by its tag"),
        pytest.param(None, {"expect": "5"}, 5, id="by its tag alone"),
        pytest.param({"BootstrapExpect": 0}, {}, None, id="not planned"),
        pytest.param({}, {"expect": "many"}, None, id="a tag that is no number"),
        pytest.param({}, {"expect": "12345"}, None, id="a tag beyond reason"),
    ],
)
def test_the_planned_number_of_servers(server: Any, tags: dict[str, str], expected: int | None) -> None:
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
            id="in the order of the log",
        ),
        pytest.param(
            "[{Suffrage:Staging ID:u1 Address:[2001:db8::1]:4647}]",
            (RaftServer("Staging", "u1", "[2001:db8::1]:4647"),),
            id="IPv6",
        ),
        pytest.param(
            "[{Suffrage:Voter ID:[::1]:4647 Address:[::1]:4647}]",
            (RaftServer("Voter", "[::1]:4647", "[::1]:4647"),),
            id="raft protocol 2, whose ids are addresses",
        ),
        pytest.param(
            "[{Suffrage:Voter ID:rack 7, unit 3 Address:nomad.example:4647}]",
            (RaftServer("Voter", "rack 7, unit 3", "nomad.example:4647"),),
            id="an id with spaces",
        ),
    ],
)
def test_the_raft_servers_are_read(text: str, servers: tuple[RaftServer, ...]) -> None:
    answer = raft(latest_configuration=text)

    assert answer.configuration == servers
    assert answer.invalid_fields == ()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{Suffrage:Voter ID:u1 Address:10.0.0.1:4647}", id="no brackets"),
        pytest.param("[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647}", id="cut off"),
        pytest.param(
            "[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647}, {Suffrage:Voter ID:u2 Address:10.0.0.2:4647}]", id="commas"
        ),
        pytest.param("[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647 Zone:a}]", id="a field more"),
        pytest.param("[{Suffrage:Witness ID:u1 Address:10.0.0.1:4647}]", id="a suffrage that raft lacks"),
        pytest.param("[{Suffrage:Voter ID:u1 Address:10.0.0.1:4647} {Suffrage:Voter ID:u2}]", id="half a server"),
    ],
)
def test_a_configuration_that_is_not_understood_whole_is_not_shown_in_part(text: str) -> None:
    answer = raft(latest_configuration=text)

    assert answer.configuration is None
    assert answer.invalid_fields == ("stats.raft.latest_configuration",)


def test_six_hundred_raft_servers_are_not_too_many() -> None:
    server = f"{{Suffrage:Voter ID:{UUID} Address:10.0.0.1:4647}}"
    answer = raft(latest_configuration=f"[{' '.join([server] * 600)}]")

    assert answer.configuration
    assert len(answer.configuration) == 600


def test_before_0_5_5_the_peers_are_the_voters() -> None:
    answer = raft(raft_peers="10.0.0.1:4647,[::1]:4647")

    assert answer.configuration == (
        RaftServer("Voter", "10.0.0.1:4647", "10.0.0.1:4647"),
        RaftServer("Voter", "[::1]:4647", "[::1]:4647"),
    )
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("told", [{}, {"raft_peers": ""}], ids=["said nothing", "an empty list"])
def test_a_server_that_tells_no_peers_has_no_configuration(told: dict[str, str]) -> None:
    assert raft(**told).configuration is None


# Stats of a later Nomad.


def test_an_unknown_stat_of_a_known_group_is_kept_as_it_was_told() -> None:
    answer = raft(lease_timeout="500ms", backend="wal")

    assert answer.unknown == {"raft.lease_timeout": "500ms", "raft.backend": "wal"}
    assert answer.invalid_fields == ()


def test_an_unknown_group_is_passed_over() -> None:
    answer = decoded(stats={"autopilot": {"healthy": "true"}, "licence": ["anything"]})

    assert answer.unknown == {}
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("key", ["Upper", "a-b", "a.b", "1st", "_a", "", "é", "a" * 65, 'a"} 1\nb'], ids=ascii)
def test_an_unknown_stat_whose_name_is_not_plain_is_passed_over(key: str) -> None:
    assert raft(**{key: "1"}).unknown == {}


def test_of_many_unknown_stats_always_the_same_few_are_kept() -> None:
    names = [f"key_{number:03}" for number in range(1000)]
    answers = [raft(**dict.fromkeys(order, "1")) for order in (names, reversed(names))]

    assert answers[0].unknown == answers[1].unknown
    assert list(answers[0].unknown) == [f"raft.{name}" for name in names[: decode_self.UNKNOWN_LIMIT]]


def test_an_unknown_stat_that_is_no_text_is_a_flaw_without_its_name() -> None:
    answer = raft(secret_name=7, term="4")

    assert answer.unknown == {}
    assert answer.invalid_fields == ("stats.raft.(unknown)",)
    assert answer.numbers == {"raft.term": 4}


# Broken values.


def with_stat(stat: stats.Stat, value: object) -> AgentSelf:
    """What an agent with both roles said, but for one stat."""
    body = json.loads(recorded(BOTH).body)
    body["stats"].setdefault(stat.group, {})[stat.key] = value
    return decode_self.decode(json.dumps(body).encode())


def without_stat(stat: stats.Stat) -> AgentSelf:
    """The answer of that agent, had it not told the stat in a form that can be read."""
    whole = of(BOTH)
    return replace(
        whole,
        numbers={path: number for path, number in whole.numbers.items() if path != stat.path},
        texts={path: text for path, text in whole.texts.items() if path != stat.path},
        configuration=None if stat.path == "raft.latest_configuration" else whole.configuration,
        invalid_fields=(f"stats.{stat.path}",),
    )


@pytest.mark.parametrize("stat", stats.STATS, ids=lambda s: str(s.path))
def test_a_stat_that_is_no_text_costs_only_itself(stat: stats.Stat) -> None:
    assert with_stat(stat, 7) == without_stat(stat)


@pytest.mark.parametrize("stat", [s for s in stats.STATS if s.kind is not Kind.TEXT], ids=lambda s: str(s.path))
def test_a_text_that_reads_as_no_number_costs_only_itself(stat: stats.Stat) -> None:
    assert with_stat(stat, "NaN") == without_stat(stat)


@pytest.mark.parametrize("stat", [s for s in stats.STATS if s.kind is Kind.TEXT], ids=lambda s: str(s.path))
def test_a_text_far_too_long_costs_only_itself(stat: stats.Stat) -> None:
    assert with_stat(stat, "x" * 100_000) == without_stat(stat)


@pytest.mark.parametrize("value", [True, 1.5, [], ["4"], {}, "4" * 10_000], ids=lambda value: repr(value)[:8])
def test_whatever_stands_where_a_text_belongs_costs_only_that(value: object) -> None:
    answer = raft(term=value, commit_index="13")

    assert answer.numbers == {"raft.commit_index": 13}
    assert answer.invalid_fields == ("stats.raft.term",)


def test_a_stat_that_is_null_is_not_said_and_no_flaw() -> None:
    answer = raft(term=None, commit_index="13")

    assert answer.numbers == {"raft.commit_index": 13}
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("group", [7, "none", [], ["raft"], True], ids=repr)
def test_a_group_that_is_none_costs_only_itself(group: object) -> None:
    answer = decoded(stats={"raft": group, "serf": {"members": "3"}})

    assert answer.numbers == {"serf.members": 3}
    assert answer.invalid_fields == ("stats.raft",)


@pytest.mark.parametrize(
    ("config", "flaw"),
    [
        pytest.param({"Region": 7}, "config.Region", id="a region that is a number"),
        pytest.param({"Datacenter": ["dc1"]}, "config.Datacenter", id="a datacenter that is a list"),
        pytest.param({"NodeName": "x" * 10_000}, "config.NodeName", id="a name of 10 kB"),
        pytest.param({"Version": 7}, "config.Version", id="a version that is a number"),
        pytest.param({"Version": {"Version": 7}}, "config.Version", id="a number inside the version"),
        pytest.param({"ACL": "on"}, "config.ACL", id="ACLs that are a text"),
        pytest.param({"ACL": {"Enabled": "true"}}, "config.ACL", id="a truth in quotes"),
        pytest.param({"TLSConfig": [True]}, "config.TLSConfig", id="TLS that is a list"),
        pytest.param({"Server": [3]}, "config.Server", id="a server that is a list"),
        pytest.param({"Server": {"BootstrapExpect": "3"}}, "config.Server.BootstrapExpect", id="a number in quotes"),
        pytest.param(
            {"Server": {"BootstrapExpect": 10**400}},
            "config.Server.BootstrapExpect",
            id="a number that no page can hold",
        ),
    ],
)
def test_a_broken_fact_costs_only_itself(config: dict[str, Any], flaw: str) -> None:
    body = json.loads(recorded(CLIENT).body)
    whole = of(CLIENT)
    body["config"] |= config
    answer = decode_self.decode(json.dumps(body).encode())

    facts = ("region", "datacenter", "node_name", "version", "acl_enabled", "tls_http", "bootstrap_expect")
    assert sum(getattr(answer, fact) != getattr(whole, fact) for fact in facts) <= 1
    assert (answer.numbers, answer.texts) == (whole.numbers, whole.texts)
    assert answer.invalid_fields == (flaw,)


@pytest.mark.parametrize(
    ("told", "version"),
    [
        pytest.param({"Version": "2.0.5", "VersionMetadata": 7}, "2.0.5", id="a number as edition"),
        pytest.param({"Version": "2.0.5", "VersionPrerelease": ["beta"]}, "2.0.5", id="a list as prerelease"),
        pytest.param({"Version": "x" * 10_000}, "", id="10 kB"),
    ],
)
def test_a_broken_part_of_the_version_costs_only_itself(told: dict[str, Any], version: str) -> None:
    answer = decoded(config={"Version": told})

    assert answer.version == version
    assert answer.invalid_fields == ("config.Version",)


@pytest.mark.parametrize("config", [7, "none", ["dc1"]], ids=repr)
def test_a_config_that_is_none_costs_only_itself(config: Any) -> None:
    body = json.loads(recorded(FOLLOWER).body)
    body["config"] = config
    answer = decode_self.decode(json.dumps(body).encode())

    assert answer.region == ""
    assert answer.numbers == of(FOLLOWER).numbers
    assert answer.invalid_fields == ("config",)


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(None, id="null"),
        pytest.param({"Name": "", "Addr": None, "Port": 0, "Tags": None, "Status": "none"}, id="as a client has it"),
    ],
)
def test_an_agent_that_is_no_member_is_no_flaw(member: Any) -> None:
    answer = decoded(member=member)

    assert answer.member is None
    assert answer.invalid_fields == ()


def test_a_member_that_is_none_costs_only_itself() -> None:
    answer = decoded(member=["s1"], stats={"raft": {"term": "4"}})

    assert answer.member is None
    assert answer.numbers == {"raft.term": 4}
    assert answer.invalid_fields == ("member",)


def test_only_the_allowed_facts_are_taken_from_the_config() -> None:
    secret = "02MV4UU43BK5HGYY"
    config = {
        "Server": {"BootstrapExpect": 3, "LicenseEnv": secret},
        "Client": {"IntroToken": secret},
        "Consuls": [{"Token": secret, "Auth": f"user:{secret}"}],
        "HTTPAPIResponseHeaders": {"X-Token": secret},
    }

    assert secret not in repr(decoded(config=config))


# Bodies that are no answer at all.


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Permission denied", id="words"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param(b'{"stats": {"nomad": {}}', id="cut off"),
        pytest.param(b'{"stats": {"nomad": {}}} {}', id="more after the end"),
        pytest.param(b'{"stats": null}', id="stats that are null"),
        pytest.param(b'{"stats": [{"nomad": {}}]}', id="stats that are a list"),
        pytest.param(b'{"stats": {"nomad": {"leader": NaN}}}', id="a NaN, which JSON lacks"),
        pytest.param(b'{"stats": {"nomad": {}}, "config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="a deep nest"),
        pytest.param(b'{"stats": {"nomad": {}, "\\ud800": {}}}', id="half a surrogate pair in a name"),
        pytest.param(b'{"stats": {"nomad": {"leader_addr": "\\udc00"}}}', id="half a surrogate pair in a text"),
    ],
)
def test_a_body_that_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode_self.decode(body)


@pytest.mark.parametrize("told", [{}, {"runtime": {"arch": "amd64"}}, {"raft": {"term": "4"}}], ids=repr)
def test_an_answer_without_a_role_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="neither of a server nor of a client"):
        decode_self.decode(json.dumps({"stats": told}).encode())


@pytest.mark.parametrize("text", [b'"\xff"', b'"\xed\xa0\x80"'], ids=["a stray byte", "a surrogate"])
def test_a_text_that_no_page_could_show_costs_only_itself(text: bytes) -> None:
    body = b'{"stats": {"nomad": {"leader_addr": %b, "leader": "true"}}, "config": {"Region": %b}}' % (text, text)
    answer = decode_self.decode(body)

    assert (answer.texts, answer.numbers, answer.region) == ({}, {"nomad.leader": 1}, "")
    assert answer.invalid_fields == ("stats.nomad.leader_addr", "config.Region")


def test_of_two_values_of_one_stat_the_last_stands() -> None:
    answer = decode_self.decode(b'{"stats": {"nomad": {"known_regions": "1", "known_regions": "2"}}}')

    assert answer.numbers == {"nomad.known_regions": 2}


# Whatever comes.

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
).map(lambda told: json.dumps(told).encode())


@given(body=BODIES)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_an_answer_or_one_of_the_promised_errors(body: bytes) -> None:
    try:
        answer = decode_self.decode(body)
    except ERRORS:
        return

    assert answer.roles
    assert all(len(text) <= TEXT_LIMIT for text in (*answer.texts.values(), *answer.unknown.values()))


@given(cut=st.integers(min_value=0), put=st.binary(max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_recorded_answer_with_bytes_overwritten_is_an_answer_or_one_of_the_promised_errors(
    cut: int, put: bytes
) -> None:
    body = recorded(CLIENT).body
    at = cut % len(body)
    try:
        answer = decode_self.decode(body[:at] + put + body[at + len(put) :])
    except ERRORS:
        return

    assert answer.roles


def test_flaws_without_end_are_not_kept() -> None:
    answer = decode_self.decode(self_body(stats={"raft": {f"key_{number}": number for number in range(100_000)}}))

    assert len(answer.invalid_fields) <= 1000
