"""The configuration file: agents, their defaults, the other settings, and errors by line and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.config import file as config_file
from nomad_exporter.config.file import RESERVED_LABELS
from nomad_exporter.config.load import RawSettings, load_config
from nomad_exporter.config.model import Config, ConfigError, DocumentError, PollConfig
from nomad_exporter.metrics.families.polls import AGENT_INFO
from nomad_exporter.nomad.agent import Address, Agent, Secret, Tls
from nomad_exporter.nomad.models import Role
from nomad_exporter.server.listen import Listen
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.settings import DEFAULTS

DEFAULT_AGENT = (Address("http", "default-agent", 4646), None)

LoadText = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> LoadText:
    """Load the configuration from a file with this text, beside flags and secrets of the environment."""

    def load_text(text: str, token: str = "", http_auth: str = "", **flags: Any) -> Config:
        path = tmp_path / "fleet.yml"
        path.write_text(text)
        values = {**DEFAULTS, "address": DEFAULT_AGENT, **flags}
        environment = {"NOMAD_TOKEN": token, "NOMAD_HTTP_AUTH": http_auth}
        raw = RawSettings(
            values=values,
            flags=frozenset(flags),
            defaults=frozenset(DEFAULTS.keys() - flags.keys()),
            environment=environment,
            file=path,
        )
        return load_config(raw, "host-1", lambda _: "")

    return load_text


ErrorOf = Callable[[str], str]


@pytest.fixture
def error_of(load: LoadText, tmp_path: Path) -> ErrorOf:
    """Return the error for a file with this text, without the path of its directory."""

    def load_text(text: str) -> str:
        with pytest.raises(DocumentError) as raised:
            load(text)
        return str(raised.value).removeprefix(f"{tmp_path}/")

    return load_text


def the_agent(load: LoadText, text: str) -> Agent:
    (agent,) = load(text).agents
    return agent


# Agents.


def test_agents_keep_order_of_file(load: LoadText) -> None:
    agents = load("agents:\n- {name: s2, address: http://b}\n- {name: s1, address: https://a:4646}\n").agents

    assert agents == (Agent("s2", Address("http", "b", 80)), Agent("s1", Address("https", "a", 4646)))


def test_agent_has_all_values_of_file(load: LoadText, tmp_path: Path) -> None:
    agent = the_agent(
        load,
        """
agents:
- name: s1
  address: https://10.0.0.1:4646
  token: of-the-agent
  http_auth: user:password
  ca_file: /ca.pem
  ca_path: /cas
  cert_file: /cert.pem
  key_file: /key.pem
  server_name: server.global.nomad
  skip_verify: true
  cluster: east
  role: server
  region: europe
  labels: {rack: b, az: "1"}
""",
    )

    assert (agent.name, agent.address) == ("s1", Address("https", "10.0.0.1", 4646))
    assert agent.credentials.token == Secret("of-the-agent")
    assert agent.credentials.basic_auth == Secret("user:password")
    assert agent.tls == Tls(
        Path("/ca.pem"), Path("/cas"), Path("/cert.pem"), Path("/key.pem"), "server.global.nomad", True
    )
    assert (agent.cluster, agent.labels) == ("east", (("az", "1"), ("rack", "b")))
    assert (agent.roles, agent.region) == (frozenset({Role.SERVER}), "europe")


@pytest.mark.parametrize(
    ("role", "roles"), [("server", {Role.SERVER}), ("client", {Role.CLIENT}), ("both", {Role.SERVER, Role.CLIENT})]
)
def test_role_is_a_set_of_roles(load: LoadText, role: str, roles: set[Role]) -> None:
    assert the_agent(load, f"agents: [{{address: http://a, role: {role}}}]").roles == roles


def test_role_and_region_are_empty_by_default(load: LoadText) -> None:
    agent = the_agent(load, "agents: [{address: http://a}]")

    assert (agent.roles, agent.region) == (frozenset(), "")


def test_agent_without_name_is_named_after_address(load: LoadText) -> None:
    assert the_agent(load, "agents: [{address: 'http://10.0.0.1:4646'}]").name == "10.0.0.1:4646"


def test_agents_with_equal_entries_are_equal(load: LoadText) -> None:
    text = "agents: [{name: s1, address: http://a, token: t, labels: {b: 1, a: 2}}]"

    assert load(text).agents == load("# moved\n" + text.replace("b: 1, a: 2", "a: 2, b: 1")).agents


def test_settings_of_default_agent_do_not_reach_listed_agents(load: LoadText) -> None:
    (agent,) = load(
        "agents: [{name: s1, address: http://a}]",
        token="of-the-environment",
        http_auth="user:password",
        token_file=Path("token"),
        ca_file=Path("ca"),
        cert_file=Path("cert"),
        server_name="other",
        skip_verify=True,
        agent_name="n1",
        cluster="west",
    ).agents

    assert agent == Agent("s1", Address("http", "a", 80))


def test_file_may_list_no_agents(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text("log: {level: debug}\n")

    assert config_file.read(path).agents is None


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    file = config_file.read(path)

    assert (file.settings, file.agents) == ({}, None)


# Defaults.


def test_defaults_apply_unless_agent_overrides_them(load: LoadText) -> None:
    first, second = load(
        """
defaults: {ca_file: /ca.pem, server_name: shared, cluster: east, skip_verify: true}
agents:
- {name: s1, address: https://a}
- {name: s2, address: https://b, ca_file: /own.pem, server_name: own, cluster: west, skip_verify: false}
"""
    ).agents

    assert (first.tls, first.cluster) == (Tls(Path("/ca.pem"), server_name="shared", skip_verify=True), "east")
    assert (second.tls, second.cluster) == (Tls(Path("/own.pem"), server_name="own"), "west")


def test_certificate_and_key_may_be_split_over_defaults_and_agent(load: LoadText) -> None:
    agent = the_agent(load, "defaults: {cert_file: /cert.pem}\nagents: [{address: https://a, key_file: /key.pem}]\n")

    assert (agent.tls.cert_file, agent.tls.key_file) == (Path("/cert.pem"), Path("/key.pem"))


@pytest.mark.parametrize(
    ("default", "override", "token", "token_file"),
    [
        pytest.param("token: t1", "", Secret("t1"), None, id="default token"),
        pytest.param("token_file: /t1", "", None, Path("/t1"), id="default file"),
        pytest.param("token_file: /t1", "token: t2", Secret("t2"), None, id="token overrides default file"),
        pytest.param("token: t1", "token_file: /t2", None, Path("/t2"), id="file overrides default token"),
        pytest.param("token: t1", "token: t2", Secret("t2"), None, id="token overrides default token"),
        pytest.param("token_file: /t1", "token_file: /t2", None, Path("/t2"), id="file overrides default file"),
    ],
)
def test_token_of_agent_overrides_default_of_either_kind(
    load: LoadText, default: str, override: str, token: Secret | None, token_file: Path | None
) -> None:
    first, _ = load(
        f"defaults: {{{default}}}\nagents:\n- {{name: s1, address: http://a, {override}}}\n- {{name: s2, address: http://b}}"
    ).agents

    assert (first.credentials.token, first.credentials.token_file) == (token, token_file)


def test_empty_token_overrides_default_file(load: LoadText) -> None:
    agent = the_agent(load, "defaults: {token_file: /t1}\nagents: [{address: http://a, token: ''}]")

    assert agent.credentials.token_file is None


def test_role_and_region_of_agent_override_defaults(load: LoadText) -> None:
    agents = load(
        "defaults: {role: server, region: europe}\n"
        "agents: [{address: http://a}, {address: http://b, role: client, region: asia}]"
    ).agents

    assert [(agent.roles, agent.region) for agent in agents] == [
        (frozenset({Role.SERVER}), "europe"),
        (frozenset({Role.CLIENT}), "asia"),
    ]


# Paths.


def test_paths_are_relative_to_directory_of_file(load: LoadText, tmp_path: Path) -> None:
    agent = the_agent(
        load,
        "defaults: {token_file: secrets/token, ca_path: cas}\n"
        "agents: [{address: https://a, ca_file: tls/ca.pem, cert_file: ../cert.pem, key_file: /key.pem}]\n",
    )

    assert agent.credentials.token_file == tmp_path / "secrets/token"
    assert agent.tls == Tls(
        tmp_path / "tls/ca.pem", tmp_path / "cas", tmp_path / "../cert.pem", Path("/key.pem"), None, False
    )


# Other settings.


def test_settings_are_read_from_their_sections(load: LoadText) -> None:
    config = load(
        """
agents: [{address: http://a}]
poll: {interval: 30s, health_interval: 10s, timeout: 2s, max_age: 1m}
web: {listen_address: [":1", "unix:/x"], enable_lifecycle: true}
log: {level: debug, format: json}
"""
    )

    assert config.poll == PollConfig(30.0, 10.0, 2.0, 60.0)
    assert (config.listen, config.enable_lifecycle) == ((Listen("", 1), Listen(path="/x")), True)
    assert (config.log_level, config.log_format) == ("debug", "json")


def test_thresholds_are_read_from_verdict_section(load: LoadText) -> None:
    config = load(
        """
agents: [{address: http://a}]
poll: {autopilot: true}
verdict: {failure_threshold: 5, heartbeat_grace: 1m, max_leader_contact: 500ms, max_apply_lag: 7, trust_gossip: true}
"""
    )

    assert config.thresholds == Thresholds(5.0, 45.0, 5, 60.0, 0.5, 7, trust_gossip=True, autopilot=True)


@pytest.mark.parametrize(("text", "allowed"), [("true", True), ("False", False), ('"true"', True)])
def test_switch_is_true_or_false(load: LoadText, text: str, allowed: bool) -> None:
    config = load(f"agents: [{{address: http://a}}]\nweb: {{enable_lifecycle: {text}}}")

    assert config.enable_lifecycle is allowed


def test_yaml_booleans_are_plain_texts(load: LoadText) -> None:
    agent = the_agent(
        load, "agents: [{name: no, address: http://a, cluster: off, token: 0123, labels: {on: yes, t: 12:30:00}}]"
    )

    assert (agent.name, agent.cluster) == ("no", "off")
    assert agent.labels == (("on", "yes"), ("t", "12:30:00"))
    assert agent.credentials.token == Secret("0123")


# Errors.

ONE = "agents: [{name: s1, address: http://a}]\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(
            "agent: []", "fleet.yml:1: agent: unknown key; known: agents, defaults, log, poll, verdict, web", id="top"
        ),
        pytest.param(
            ONE + "web:\n  port: 1",
            "fleet.yml:3: web.port: unknown key; known: enable_lifecycle, listen_address",
            id="web",
        ),
        pytest.param(
            ONE + "verdict: {failure_threshold: 0}",
            "fleet.yml:2: verdict.failure_threshold: must be a whole number from 1 to 999999999 (got '0')",
            id="a count of zero",
        ),
        pytest.param(
            ONE + "verdict: {max_kontact: 1s}",
            "fleet.yml:2: verdict.max_kontact: unknown key; "
            "known: failure_threshold, heartbeat_grace, max_apply_lag, max_leader_contact, trust_gossip",
            id="an unknown threshold",
        ),
        pytest.param(
            ONE + "poll: {health-interval: 1s}",
            "fleet.yml:2: poll.health-interval: unknown key; "
            "known: autopilot, health_interval, interval, max_age, timeout",
            id="a flag's spelling",
        ),
        pytest.param(
            ONE + "poll: {interval: 1s,\n interval: 2s}",
            "fleet.yml:3: poll.interval: duplicate key",
            id="a duplicate setting",
        ),
        pytest.param(
            "agents:\n- address: http://a\n- address: http://b\n  address: http://c",
            "fleet.yml:4: agents[1].address: duplicate key",
            id="a duplicate address",
        ),
        pytest.param(ONE + "agents: []", "fleet.yml:2: agents: duplicate key", id="two lists of agents"),
        pytest.param("agents: []", "fleet.yml:1: agents: must list at least one agent", id="no agents"),
        pytest.param("agents:", "fleet.yml:1: agents: must be a list", id="a missing list"),
        pytest.param("agents: [s1]", "fleet.yml:1: agents[0]: must be a mapping of keys to values", id="a name alone"),
        pytest.param("agents:\n- {name: s1}", "fleet.yml:2: agents[0]: must have an address", id="no address"),
        pytest.param("defaults: {}", "fleet.yml:1: defaults: has no effect without agents", id="defaults alone"),
        pytest.param(
            "agents:\n- {name: s1, address: http://a}\n- address: http://b\n  name: s1",
            "fleet.yml:4: agents[1].name: duplicate agent name s1 (first used in line 2)",
            id="one name twice",
        ),
        pytest.param(
            "agents:\n- address: http://a:1\n- address: http://a:1",
            "fleet.yml:3: agents[1].address: duplicate agent name a:1 (first used in line 2)",
            id="one address twice",
        ),
        pytest.param(
            "agents:\n- {name: 'a:1', address: http://b}\n- address: http://a:1",
            "fleet.yml:3: agents[1].address: duplicate agent name a:1 (first used in line 2)",
            id="a name equal to the address of another",
        ),
        pytest.param(
            "agents:\n- address: https://a\n  cert_file: c",
            "fleet.yml:3: agents[0].cert_file: requires key_file",
            id="a certificate alone",
        ),
        pytest.param(
            "defaults:\n  key_file: k\nagents:\n- address: https://a",
            "fleet.yml:2: defaults.key_file: requires cert_file",
            id="a key alone, in the defaults",
        ),
        pytest.param(
            ONE + "poll:\n  timeout: 6s",
            "fleet.yml:3: poll.timeout: 6s exceeds 80 % of poll.health_interval (5s); maximum is 4s",
            id="a timeout above the interval",
        ),
        pytest.param(
            ONE + "poll:\n  interval: 1s\n  timeout: 1s",
            "fleet.yml:4: poll.timeout: 1s exceeds 80 % of poll.interval (1s); maximum is 800ms",
            id="a timeout equal to the interval",
        ),
        pytest.param(
            ONE + "poll: {max_age: 10s}",
            "fleet.yml:2: poll.max_age: 10s is shorter than poll.interval (15s)",
            id="a maximum age below the interval",
        ),
        pytest.param(
            ONE + "poll: {interval: 15}",
            "fleet.yml:2: poll.interval: must be a duration such as 15s, 500ms or 1m30s (got '15')",
            id="a bare number",
        ),
        pytest.param(
            ONE + "web: {listen_address: ':9441'}", "fleet.yml:2: web.listen_address: must be a list", id="one address"
        ),
        pytest.param(
            ONE + "web: {listen_address: []}",
            "fleet.yml:2: web.listen_address: must list at least one address",
            id="none",
        ),
        pytest.param(
            ONE + "web:\n  listen_address:\n  - :1\n  - nowhere",
            "fleet.yml:5: web.listen_address[1]: "
            "must be an address such as :9441, 127.0.0.1:9441, [::1]:9441 or unix:/path (got 'nowhere')",
            id="a wrong one of two addresses",
        ),
        pytest.param(
            ONE + "web: {enable_lifecycle: no}",
            "fleet.yml:2: web.enable_lifecycle: must be true or false (got 'no')",
            id="no",
        ),
        pytest.param(
            ONE + "web: {enable_lifecycle: }",
            "fleet.yml:2: web.enable_lifecycle: must be true or false (got '')",
            id="a missing value",
        ),
        pytest.param(
            ONE + "log: {level: warning}",
            "fleet.yml:2: log.level: must be one of debug, info, warn, error (got 'warning')",
            id="an unknown level",
        ),
        pytest.param(
            "agents: [{address: nomad:4646}]",
            "fleet.yml:1: agents[0].address: must be a URL such as http://127.0.0.1:4646, https://host:4646 or "
            "unix:///path/to/api.sock (got 'nomad:4646')",
            id="an address without a scheme",
        ),
        pytest.param(
            "agents: [{address: http://a, token_file: }]",
            "fleet.yml:1: agents[0].token_file: must be a path (got '')",
            id="an empty path",
        ),
        pytest.param(
            "agents: [{address: http://a, name: [s1]}]",
            "fleet.yml:1: agents[0].name: must be a single value",
            id="a list for a name",
        ),
        pytest.param(
            "agents:\n- address: http://a\n  role: leader",
            "fleet.yml:3: agents[0].role: must be one of server, client, both (got 'leader')",
            id="an unknown role",
        ),
        pytest.param(
            "agents: [{address: http://a, role: [server, client]}]",
            "fleet.yml:1: agents[0].role: must be a single value",
            id="a list of roles",
        ),
        pytest.param(
            "defaults: {role: }\nagents: [{address: http://a}]",
            "fleet.yml:1: defaults.role: must be one of server, client, both (got '')",
            id="a missing role, in the defaults",
        ),
        pytest.param(
            "agents: [{address: http://a, region: {name: global}}]",
            "fleet.yml:1: agents[0].region: must be a single value",
            id="a mapping for a region",
        ),
        pytest.param(
            "agents: [{address: http://a, labels: [rack]}]",
            "fleet.yml:1: agents[0].labels: must be a mapping of keys to values",
            id="a list of labels",
        ),
    ],
)
def test_error_is_one_line_with_file_line_and_key(error_of: ErrorOf, text: str, line: str) -> None:
    assert error_of(text) == line


@pytest.mark.parametrize("key", ["name", "address"])
def test_name_and_address_have_no_default(error_of: ErrorOf, key: str) -> None:
    assert error_of(f"defaults:\n  {key}: http://a\n{ONE}").startswith(
        f"fleet.yml:2: defaults.{key}: unknown key; known: "
    )


@pytest.mark.parametrize("key", ["nomad.agent-name", "agent_name", "interval", "poll", "roles", "nomad_region"])
def test_agent_accepts_only_keys_of_agents(error_of: ErrorOf, key: str) -> None:
    assert error_of(f"agents:\n- address: http://a\n  {key}: 1s").startswith(
        f"fleet.yml:3: agents[0].{key}: unknown key; known: address, ca_file, "
    )


@pytest.mark.parametrize("name", ["9lives", "with-dash", "with.dot", "", "ünder", "a b", "__name__", "a:b", "a\\n"])
def test_invalid_label_name_is_refused(error_of: ErrorOf, name: str) -> None:
    error = error_of(f'agents:\n- address: http://a\n  labels:\n    fine: 1\n    "{name}": x')

    assert error.startswith("fleet.yml:5: agents[0].labels.")
    assert error.endswith(": is not a valid label name")


@pytest.mark.parametrize("name", sorted(RESERVED_LABELS))
def test_reserved_label_name_is_refused(error_of: ErrorOf, name: str) -> None:
    assert error_of(f"agents:\n- address: http://a\n  labels:\n    {name}: x") == (
        f"fleet.yml:4: agents[0].labels.{name}: is a reserved label name, set by the exporter or by Prometheus"
    )


def test_labels_of_cluster_and_region_are_reserved() -> None:
    assert {"nomad_cluster", "nomad_region", "cluster", "region"} <= RESERVED_LABELS


def test_labels_beside_those_of_the_user_are_reserved() -> None:
    assert {"agent", "nomad_cluster", *AGENT_INFO.labels} <= RESERVED_LABELS


def test_reserved_label_name_in_defaults_is_located_there(error_of: ErrorOf) -> None:
    assert error_of(f"defaults:\n  labels: {{job: x}}\n{ONE}").startswith(
        "fleet.yml:2: defaults.labels.job: is a reserved "
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("agents: [{address: 'http://user:s3cret@:x'}]", id="in an invalid address"),
        pytest.param("agents: [{address: 'ftp://user:s3cret@host'}]", id="in an address with another scheme"),
        pytest.param("agents: [{address: http://a, token: [s3cret]}]", id="in a list"),
        pytest.param("agents: [{address: http://a, http_auth: {user: s3cret}}]", id="in a mapping"),
        pytest.param("agents: [{address: http://a, tokn: s3cret}]", id="in an unknown key"),
        pytest.param("agents: [{address: http://a, token: one, token: s3cret}]", id="in a duplicate key"),
        pytest.param("agents: [{address: http://a, token: s3cret, cert_file: c}]", id="beside another error"),
        pytest.param("token: s3cret", id="at the top"),
        pytest.param("agents: [{address: http://a, token: @s3cret}]", id="not YAML"),
        pytest.param("agents: [{address: http://a, token: *s3cret}]", id="an alias"),
        pytest.param('agents: [{address: http://a, token: "s3cret\\q"}]', id="with an invalid escape"),
        pytest.param("agents: [{address: http://a, token: 's3cret}]", id="with an open quote"),
        pytest.param("agents:\n- address: http://a\n  token: s3cret: x", id="with a colon"),
        pytest.param("agents: [{address: http://a, token: %s3cret}]", id="with a percent sign"),
    ],
)
def test_errors_never_quote_secrets(error_of: ErrorOf, text: str) -> None:
    assert "s3cret" not in error_of(text)


def test_repr_hides_secrets(load: LoadText) -> None:
    config = load("agents: [{address: 'http://u:s3cret@a', token: s3cret}, {address: http://b, http_auth: 'u:s3cret'}]")

    assert "s3cret" not in repr(config)


def test_error_in_flag_names_flag(load: LoadText) -> None:
    with pytest.raises(ConfigError, match=r"^--poll\.timeout 9s exceeds 80 % of --poll\.health-interval \(5s\)"):
        load(ONE, timeout=9.0)


@pytest.mark.parametrize(
    "keys", ['cluster: "\\uD800"', 'cluster: "a\\nb"', 'region: "\\u0007"', 'labels: {rack: "\\uDFFF"}']
)
def test_unprintable_label_value_is_refused(error_of: ErrorOf, keys: str) -> None:
    error = error_of(f'agents: [{{address: "http://nomad:4646", {keys}}}]')

    assert "must be one printable line" in error


@pytest.mark.parametrize("key", ["name", "address", "cluster", "token_file", "server_name", "region", "role"])
def test_variable_in_value_is_refused(load: LoadText, key: str) -> None:
    with pytest.raises(DocumentError, match=rf"agents\[0\]\.{key}: must not contain a variable or template"):
        load(f"agents: [{{{key}: 'a${{X}}', {'name' if key == 'address' else 'address'}: 'http://a:4646'}}]")


def test_variable_in_token_is_refused_without_quoting_it(load: LoadText) -> None:
    with pytest.raises(DocumentError) as raised:
        load("agents: [{address: 'http://a:4646', token: '${hidden}'}]")

    assert str(raised.value).endswith("(got '********'); token_file names a file with the token")
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("label", ["rack: '${RACK}'", "rack: '{{ rack }}'"])
def test_variable_in_label_is_refused(load: LoadText, label: str) -> None:
    with pytest.raises(DocumentError, match=r"labels\.rack: must not contain a variable or template"):
        load(f"agents: [{{address: 'http://a:4646', labels: {{{label}}}}}]")
