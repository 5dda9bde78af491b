"""The configuration file: agents over shared defaults, the settings beside them, and every mistake by line and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.config import file as config_file
from nomad_exporter.config.file import RESERVED_LABELS
from nomad_exporter.config.model import Config, ConfigError, PollConfig, build_config
from nomad_exporter.config.settings import Settings
from nomad_exporter.config.yaml import DocumentError
from nomad_exporter.nomad.agent import Address, Agent, Secret, Tls
from nomad_exporter.serving.listen import Listen
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.settings import UNTOLD

ONE_AGENT = (Address("http", "of-the-one-agent", 4646), None)

Planner = Callable[..., Config]


@pytest.fixture
def planned(tmp_path: Path) -> Planner:
    """The plan of a file with this text, beside settings of a command line."""

    def read(text: str, **settings: Any) -> Config:
        path = tmp_path / "fleet.yml"
        path.write_text(text)
        file = config_file.read(path)
        told = Settings(**{**UNTOLD, "address": ONE_AGENT, **file.settings, **settings})
        try:
            return build_config(told, config_file.agents(file.agents or (), told, "host-1"))
        except ConfigError as error:
            raise file.locate(error) from None

    return read


Refusal = Callable[[str], str]


@pytest.fixture
def refusal(planned: Planner, tmp_path: Path) -> Refusal:
    """The words with which a file of this text is refused, without the path of its folder."""

    def read(text: str) -> str:
        with pytest.raises(DocumentError) as refused:
            planned(text)
        return str(refused.value).removeprefix(f"{tmp_path}/")

    return read


def the_agent(planned: Planner, text: str) -> Agent:
    (agent,) = planned(text).agents
    return agent


# Agents.


def test_agents_are_watched_in_the_order_of_the_file(planned: Planner) -> None:
    agents = planned("agents:\n- {name: s2, address: http://b}\n- {name: s1, address: https://a:4646}\n").agents

    assert agents == (Agent("s2", Address("http", "b", 80)), Agent("s1", Address("https", "a", 4646)))


def test_all_that_a_file_says_of_an_agent_is_taken(planned: Planner, tmp_path: Path) -> None:
    agent = the_agent(
        planned,
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


def test_an_agent_without_a_name_is_called_by_its_address(planned: Planner) -> None:
    assert the_agent(planned, "agents: [{address: 'http://10.0.0.1:4646'}]").name == "10.0.0.1:4646"


def test_agents_of_equal_text_are_equal(planned: Planner) -> None:
    text = "agents: [{name: s1, address: http://a, token: t, labels: {b: 1, a: 2}}]"

    assert planned(text).agents == planned("# moved\n" + text.replace("b: 1, a: 2", "a: 2, b: 1")).agents


def test_what_the_command_line_says_of_its_one_agent_reaches_none_of_the_file(planned: Planner) -> None:
    (agent,) = planned(
        "agents: [{name: s1, address: http://a}]",
        token=Secret("of-the-environment"),
        token_file=Path("token"),
        http_auth=Secret("user:password"),
        ca_file=Path("ca"),
        cert_file=Path("cert"),
        server_name="other",
        skip_verify=True,
        agent_name="n1",
    ).agents

    assert agent == Agent("s1", Address("http", "a", 80))


def test_a_file_may_list_no_agents(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text("log: {level: debug}\n")

    assert config_file.read(path).agents is None


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    file = config_file.read(path)

    assert (file.settings, file.agents) == ({}, None)


# Defaults.


def test_defaults_hold_for_every_agent_that_says_nothing_else(planned: Planner) -> None:
    first, second = planned(
        """
defaults: {ca_file: /ca.pem, server_name: shared, cluster: east, skip_verify: true}
agents:
- {name: s1, address: https://a}
- {name: s2, address: https://b, ca_file: /own.pem, server_name: own, cluster: west, skip_verify: false}
"""
    ).agents

    assert (first.tls, first.cluster) == (Tls(Path("/ca.pem"), server_name="shared", skip_verify=True), "east")
    assert (second.tls, second.cluster) == (Tls(Path("/own.pem"), server_name="own"), "west")


def test_half_of_a_certificate_pair_may_come_from_the_defaults(planned: Planner) -> None:
    agent = the_agent(planned, "defaults: {cert_file: /cert.pem}\nagents: [{address: https://a, key_file: /key.pem}]\n")

    assert (agent.tls.cert_file, agent.tls.key_file) == (Path("/cert.pem"), Path("/key.pem"))


@pytest.mark.parametrize(
    ("shared", "own", "token", "token_file"),
    [
        pytest.param("token: t1", "", Secret("t1"), None, id="a shared token"),
        pytest.param("token_file: /t1", "", None, Path("/t1"), id="a shared file"),
        pytest.param("token_file: /t1", "token: t2", Secret("t2"), None, id="a token in place of a shared file"),
        pytest.param("token: t1", "token_file: /t2", None, Path("/t2"), id="a file in place of a shared token"),
        pytest.param("token: t1", "token: t2", Secret("t2"), None, id="a token in place of a shared one"),
        pytest.param("token_file: /t1", "token_file: /t2", None, Path("/t2"), id="a file in place of a shared one"),
    ],
)
def test_an_own_token_takes_the_place_of_the_shared_one_of_either_kind(
    planned: Planner, shared: str, own: str, token: Secret | None, token_file: Path | None
) -> None:
    first, _ = planned(
        f"defaults: {{{shared}}}\nagents:\n- {{name: s1, address: http://a, {own}}}\n- {{name: s2, address: http://b}}"
    ).agents

    assert (first.credentials.token, first.credentials.token_file) == (token, token_file)


def test_an_empty_token_is_none_in_place_of_a_shared_file(planned: Planner) -> None:
    agent = the_agent(planned, "defaults: {token_file: /t1}\nagents: [{address: http://a, token: ''}]")

    assert agent.credentials.token_file is None


# Paths.


def test_paths_are_relative_to_the_folder_of_the_file(planned: Planner, tmp_path: Path) -> None:
    agent = the_agent(
        planned,
        "defaults: {token_file: secrets/token, ca_path: cas}\n"
        "agents: [{address: https://a, ca_file: tls/ca.pem, cert_file: ../cert.pem, key_file: /key.pem}]\n",
    )

    assert agent.credentials.token_file == tmp_path / "secrets/token"
    assert agent.tls == Tls(
        tmp_path / "tls/ca.pem", tmp_path / "cas", tmp_path / "../cert.pem", Path("/key.pem"), None, False
    )


# The settings beside the agents.


def test_the_settings_beside_the_agents_are_taken(planned: Planner) -> None:
    made = planned(
        """
agents: [{address: http://a}]
poll: {interval: 30s, health_interval: 10s, timeout: 2s, max_age: 1m}
web: {listen_address: [":1", "unix:/x"], enable_lifecycle: true}
log: {level: debug, format: json}
"""
    )

    assert made.poll == PollConfig(30.0, 10.0, 2.0, 60.0)
    assert (made.listen, made.enable_lifecycle) == ((Listen("", 1), Listen(path="/x")), True)
    assert (made.log_level, made.log_format) == ("debug", "json")


def test_the_limits_of_the_verdicts_are_taken(planned: Planner) -> None:
    made = planned(
        """
agents: [{address: http://a}]
poll: {autopilot: true}
verdict: {failure_threshold: 5, heartbeat_grace: 1m, max_leader_contact: 500ms, max_apply_lag: 7, trust_gossip: true}
"""
    )

    assert made.thresholds == Thresholds(5.0, 45.0, 5, 60.0, 0.5, 7, trust_gossip=True, autopilot=True)


@pytest.mark.parametrize(("text", "allowed"), [("true", True), ("false", False), ('"true"', True)])
def test_a_switch_is_true_or_false(planned: Planner, text: str, allowed: bool) -> None:
    made = planned(f"agents: [{{address: http://a}}]\nweb: {{enable_lifecycle: {text}}}")

    assert made.enable_lifecycle is allowed


def test_no_is_a_name_like_any_other(planned: Planner) -> None:
    agent = the_agent(
        planned, "agents: [{name: no, address: http://a, cluster: off, token: 0123, labels: {on: yes, t: 12:30:00}}]"
    )

    assert (agent.name, agent.cluster) == ("no", "off")
    assert agent.labels == (("on", "yes"), ("t", "12:30:00"))
    assert agent.credentials.token == Secret("0123")


# Mistakes.

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
            "fleet.yml:2: verdict.failure-threshold: '0': must be a whole number from 1 to 999999999",
            id="a count of nothing",
        ),
        pytest.param(
            ONE + "verdict: {max_kontact: 1s}",
            "fleet.yml:2: verdict.max_kontact: unknown key; "
            "known: attempts, heartbeat_grace, max_apply_lag, max_contact, trust_gossip",
            id="an unknown limit",
        ),
        pytest.param(
            ONE + "poll: {health-interval: 1s}",
            "fleet.yml:2: poll.health-interval: unknown key; "
            "known: autopilot, health_interval, interval, max_age, timeout",
            id="a flag's spelling",
        ),
        pytest.param(
            ONE + "poll: {interval: 1s,\n interval: 2s}", "fleet.yml:3: poll.interval: is given twice", id="x2"
        ),
        pytest.param(
            "agents:\n- address: http://a\n- address: http://b\n  address: http://c",
            "fleet.yml:4: agents[1].address: is given twice",
            id="an address given twice",
        ),
        pytest.param(ONE + "agents: []", "fleet.yml:2: agents: is given twice", id="two lists of agents"),
        pytest.param("agents: []", "fleet.yml:1: agents: must list at least one agent", id="no agents"),
        pytest.param("agents:", "fleet.yml:1: agents: must be a list", id="agents that are nothing"),
        pytest.param("agents: [s1]", "fleet.yml:1: agents[0]: must be a mapping of keys to values", id="a name alone"),
        pytest.param("agents:\n- {name: s1}", "fleet.yml:2: agents[0]: has no address", id="no address"),
        pytest.param("defaults: {}", "fleet.yml:1: defaults: serve nothing without agents", id="defaults alone"),
        pytest.param(
            "agents:\n- {name: s1, address: http://a}\n- address: http://b\n  name: s1",
            "fleet.yml:4: agents[1].name: another agent is called s1 too, in line 2",
            id="one name twice",
        ),
        pytest.param(
            "agents:\n- address: http://a:1\n- address: http://a:1",
            "fleet.yml:3: agents[1].address: another agent is called a:1 too, in line 2",
            id="one address twice",
        ),
        pytest.param(
            "agents:\n- {name: 'a:1', address: http://b}\n- address: http://a:1",
            "fleet.yml:3: agents[1].address: another agent is called a:1 too, in line 2",
            id="a name that is the address of another",
        ),
        pytest.param(
            "agents:\n- address: https://a\n  cert_file: c",
            "fleet.yml:3: agents[0].cert_file: needs key_file beside it",
            id="a certificate alone",
        ),
        pytest.param(
            "defaults:\n  key_file: k\nagents:\n- address: https://a",
            "fleet.yml:2: defaults.key_file: needs cert_file beside it",
            id="a key alone, in the defaults",
        ),
        pytest.param(
            ONE + "poll:\n  timeout: 6s",
            "fleet.yml:3: poll.timeout: 6s is too long beside poll.health_interval of 5s: at most 4s",
            id="a time-out above the interval",
        ),
        pytest.param(
            ONE + "poll:\n  interval: 1s\n  timeout: 1s",
            "fleet.yml:4: poll.timeout: 1s is too long beside poll.interval of 1s: at most 800ms",
            id="a time-out as long as the interval",
        ),
        pytest.param(
            ONE + "poll: {max_age: 10s}",
            "fleet.yml:2: poll.max_age: 10s is shorter than poll.interval of 15s",
            id="values dropped before the next come",
        ),
        pytest.param(
            ONE + "poll: {interval: 15}",
            "fleet.yml:2: poll.interval: '15': not a duration such as 15s, 500ms or 1m30s",
            id="a bare number",
        ),
        pytest.param(
            ONE + "web: {listen_address: ':9441'}", "fleet.yml:2: web.listen_address: must be a list", id="one address"
        ),
        pytest.param(ONE + "web: {listen_address: []}", "fleet.yml:2: web.listen_address: names no address", id="none"),
        pytest.param(
            ONE + "web:\n  listen_address:\n  - :1\n  - nowhere",
            "fleet.yml:5: web.listen_address[1]: 'nowhere': "
            "must be like :9441, 127.0.0.1:9441, [::1]:9441 or unix:/path",
            id="a wrong one of two addresses",
        ),
        pytest.param(
            ONE + "web: {enable_lifecycle: no}", "fleet.yml:2: web.enable_lifecycle: must be true or false", id="no"
        ),
        pytest.param(
            ONE + "web: {enable_lifecycle: False}",
            "fleet.yml:2: web.enable_lifecycle: must be true or false",
            id="False",
        ),
        pytest.param(
            ONE + "web: {enable_lifecycle: }", "fleet.yml:2: web.enable_lifecycle: must be true or false", id="nothing"
        ),
        pytest.param(
            ONE + "log: {level: warning}",
            "fleet.yml:2: log.level: 'warning': must be one of debug, info, warn, error",
            id="a level that is none",
        ),
        pytest.param(
            "agents: [{address: nomad:4646}]",
            "fleet.yml:1: agents[0].address: 'nomad:4646': must be like http://127.0.0.1:4646, https://host:4646 or "
            "unix:///path/to/api.sock",
            id="an address that is none",
        ),
        pytest.param(
            "agents: [{address: http://a, token_file: }]",
            "fleet.yml:1: agents[0].token_file: '': must be a path",
            id="a path that is nothing",
        ),
        pytest.param(
            "agents: [{address: http://a, name: [s1]}]",
            "fleet.yml:1: agents[0].name: must be one value",
            id="a list for a name",
        ),
        pytest.param(
            "agents: [{address: http://a, labels: [rack]}]",
            "fleet.yml:1: agents[0].labels: must be a mapping of keys to values",
            id="a list of labels",
        ),
    ],
)
def test_every_mistake_is_one_line_with_the_file_the_line_and_the_key(refusal: Refusal, text: str, line: str) -> None:
    assert refusal(text) == line


@pytest.mark.parametrize("key", ["name", "address"])
def test_what_tells_agents_apart_has_no_default(refusal: Refusal, key: str) -> None:
    assert refusal(f"defaults:\n  {key}: http://a\n{ONE}").startswith(
        f"fleet.yml:2: defaults.{key}: unknown key; known: "
    )


@pytest.mark.parametrize("key", ["nomad.agent-name", "agent_name", "interval", "poll", "listen_address"])
def test_an_agent_takes_only_the_keys_of_an_agent(refusal: Refusal, key: str) -> None:
    assert refusal(f"agents:\n- address: http://a\n  {key}: 1s").startswith(
        f"fleet.yml:3: agents[0].{key}: unknown key; known: address, ca_file, "
    )


@pytest.mark.parametrize("name", ["9lives", "with-dash", "with.dot", "", "ünder", "a b", "__name__", "a:b", "a\\n"])
def test_what_is_no_name_of_a_label_is_refused(refusal: Refusal, name: str) -> None:
    told = refusal(f'agents:\n- address: http://a\n  labels:\n    fine: 1\n    "{name}": x')

    assert told.startswith("fleet.yml:5: agents[0].labels.")
    assert told.endswith(": is no name of a label")


@pytest.mark.parametrize("name", sorted(RESERVED_LABELS))
def test_labels_that_others_set_are_refused(refusal: Refusal, name: str) -> None:
    assert refusal(f"agents:\n- address: http://a\n  labels:\n    {name}: x") == (
        f"fleet.yml:4: agents[0].labels.{name}: is a label that the exporter or Prometheus sets; choose another name"
    )


def test_a_label_that_the_defaults_give_wrongly_is_found_there(refusal: Refusal) -> None:
    assert refusal(f"defaults:\n  labels: {{job: x}}\n{ONE}").startswith("fleet.yml:2: defaults.labels.job: is a label")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("agents: [{address: 'http://user:s3cret@:x'}]", id="in an address that is none"),
        pytest.param("agents: [{address: 'ftp://user:s3cret@host'}]", id="in an address of another kind"),
        pytest.param("agents: [{address: http://a, token: [s3cret]}]", id="in a list"),
        pytest.param("agents: [{address: http://a, http_auth: {user: s3cret}}]", id="in a mapping"),
        pytest.param("agents: [{address: http://a, tokn: s3cret}]", id="under a wrong key"),
        pytest.param("agents: [{address: http://a, token: one, token: s3cret}]", id="given twice"),
        pytest.param("agents: [{address: http://a, token: s3cret, cert_file: c}]", id="beside another mistake"),
        pytest.param("token: s3cret", id="at the top"),
        pytest.param("agents: [{address: http://a, token: @s3cret}]", id="that is no YAML"),
        pytest.param("agents: [{address: http://a, token: *s3cret}]", id="that is an alias"),
        pytest.param('agents: [{address: http://a, token: "s3cret\\q"}]', id="that has a wrong escape"),
        pytest.param("agents: [{address: http://a, token: 's3cret}]", id="that does not end"),
        pytest.param("agents:\n- address: http://a\n  token: s3cret: x", id="with a colon"),
        pytest.param("agents: [{address: http://a, token: %s3cret}]", id="that begins with a percent sign"),
    ],
)
def test_no_refusal_quotes_a_secret(refusal: Refusal, text: str) -> None:
    assert "s3cret" not in refusal(text)


def test_a_plan_of_a_file_can_be_shown_without_its_secrets(planned: Planner) -> None:
    made = planned(
        "agents: [{address: 'http://u:s3cret@a', token: s3cret}, {address: http://b, http_auth: 'u:s3cret'}]"
    )

    assert "s3cret" not in repr(made)


def test_a_mistake_of_the_command_line_is_told_by_its_flag(planned: Planner) -> None:
    with pytest.raises(ConfigError, match=r"^--poll\.timeout: 9s is too long"):
        planned(ONE, timeout=9.0)


@pytest.mark.parametrize("keys", ['cluster: "\\uD800"', 'cluster: "a\\nb"', 'labels: {rack: "\\uDFFF"}'])
def test_a_text_that_no_label_can_hold_is_refused(refusal: Refusal, keys: str) -> None:
    line = refusal(f'agents: [{{address: "http://nomad:4646", {keys}}}]')

    assert "must be one printable line" in line
