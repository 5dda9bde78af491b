"""Loading of the configuration: precedence of the sources, and the names of settings in errors and warnings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.config.load import RawSettings, load_config
from nomad_exporter.config.model import Config, ConfigError, DocumentError
from nomad_exporter.config.settings import SETTINGS, TASK_ADDRESS
from tests.support.settings import DEFAULTS

ONE_AGENT = "agents: [{name: s1, address: 'http://a:4646'}]\n"

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the configuration from flags, from variables with their parsed values, and from a file with this text."""

    def load_settings(text: str | None = None, variables: dict[str, Any] | None = None, **flags: Any) -> Config:
        path = tmp_path / "fleet.yml"
        path.write_text(text or "")
        set_by_variable = variables or {}
        raw = RawSettings(
            values={**DEFAULTS, **set_by_variable, **flags},
            flags=frozenset(flags),
            defaults=frozenset(DEFAULTS.keys() - flags.keys() - set_by_variable.keys()),
            environment={SETTINGS[field].variables[0]: "any" for field in set_by_variable},
            file=None if text is None else path,
        )
        return load_config(raw, "host-1", lambda _: "")

    return load_settings


def clusters(config: Config) -> list[str]:
    return [agent.cluster for agent in config.agents]


# The cluster.


def test_cluster_of_default_agent_is_default(load: Load) -> None:
    assert clusters(load()) == ["default"]


def test_cluster_of_listed_agent_is_default(load: Load) -> None:
    assert clusters(load(ONE_AGENT)) == ["default"]


def test_cluster_of_default_agent_is_set_by_flag(load: Load) -> None:
    assert clusters(load(cluster="east")) == ["east"]


def test_cluster_of_default_agent_is_set_by_variable(load: Load) -> None:
    assert clusters(load(variables={"cluster": "east"})) == ["east"]


def test_cluster_has_flag_variable_and_key() -> None:
    setting = SETTINGS["cluster"]

    assert (setting.flag, setting.variables) == ("--nomad.cluster", ("NOMAD_EXPORTER_NOMAD_CLUSTER",))
    assert (setting.section, setting.key) == ("nomad", "cluster")


def test_cluster_of_listed_agent_is_set_in_file(load: Load) -> None:
    assert clusters(load("agents: [{address: http://a, cluster: east}, {address: http://b}]")) == ["east", "default"]


def test_cluster_in_defaults_applies_unless_agent_overrides_it(load: Load) -> None:
    config = load("defaults: {cluster: east}\nagents: [{address: http://a}, {address: http://b, cluster: west}]")

    assert clusters(config) == ["east", "west"]


def test_cluster_flag_is_ignored_with_warning_beside_listed_agents(load: Load) -> None:
    config = load(ONE_AGENT, cluster="east")

    assert clusters(config) == ["default"]
    assert config.warnings == ("--nomad.cluster is ignored: the configuration file lists agents",)


def test_cluster_variable_is_ignored_with_warning_beside_listed_agents(load: Load) -> None:
    config = load(ONE_AGENT, variables={"cluster": "east"})

    assert clusters(config) == ["default"]
    assert config.warnings == ("NOMAD_EXPORTER_NOMAD_CLUSTER is ignored: the configuration file lists agents",)


# Warnings.


@pytest.mark.parametrize(
    ("text", "source"),
    [
        pytest.param(None, "--nomad.address", id="flag"),
        pytest.param("agents: [{address: 'https://nomad'}]", "{file}:1: agents[0].address:", id="file"),
    ],
)
def test_address_without_port_has_a_warning(load: Load, tmp_path: Path, text: str | None, source: str) -> None:
    flags = {} if text else {"address": SETTINGS["address"].parse("https://nomad")}

    warnings = load(text, **flags).warnings

    named = source.format(file=tmp_path / "fleet.yml")
    assert warnings == (f"{named} has no port, using 443; the default port of Nomad is 4646",)


def test_address_of_two_agents_has_a_warning(load: Load, tmp_path: Path) -> None:
    config = load("agents:\n- {name: a, address: 'http://n:4646'}\n- {name: b, address: 'http://n:4646/'}\n")

    assert config.warnings == (
        f"{tmp_path}/fleet.yml:3: agents[1].address: is also the address of a: one agent is polled and counted twice",
    )


# Precedence.


def test_file_precedes_default(load: Load) -> None:
    assert load("poll: {interval: 30s}").poll.interval == 30.0


@pytest.mark.parametrize("set_interval", [{"interval": 20.0}, {"variables": {"interval": 20.0}}], ids=["flag", "env"])
def test_flag_and_variable_precede_file(load: Load, set_interval: dict[str, Any]) -> None:
    assert load("poll: {interval: 30s}", **set_interval).poll.interval == 20.0


# Names in errors.


@pytest.mark.parametrize(
    ("text", "variables", "flags", "error"),
    [
        pytest.param(
            None,
            {},
            {"timeout": 9.0, "interval": 3.0},
            "--poll.timeout 9s exceeds 80 % of --poll.interval (3s); maximum is 2.4s",
            id="two-flags",
        ),
        pytest.param(
            None,
            {"timeout": 9.0},
            {},
            "NOMAD_EXPORTER_POLL_TIMEOUT 9s exceeds 80 % of NOMAD_EXPORTER_POLL_HEALTH_INTERVAL (5s); maximum is 4s",
            id="variable-and-default",
        ),
        pytest.param(
            None,
            {"interval": 3.0},
            {"timeout": 9.0},
            "--poll.timeout 9s exceeds 80 % of NOMAD_EXPORTER_POLL_INTERVAL (3s); maximum is 2.4s",
            id="flag-and-variable",
        ),
        pytest.param(
            "poll: {interval: 3s}",
            {},
            {"timeout": 9.0},
            "--poll.timeout 9s exceeds 80 % of poll.interval (3s); maximum is 2.4s",
            id="flag-and-file",
        ),
        pytest.param(
            "poll: {timeout: 2s}",
            {},
            {"timeout": 9.0},
            "--poll.timeout 9s exceeds 80 % of --poll.health-interval (5s); maximum is 4s",
            id="flag-over-file",
        ),
        pytest.param(
            None,
            {"cert_file": Path("c")},
            {},
            "NOMAD_EXPORTER_NOMAD_CERT_FILE requires NOMAD_EXPORTER_NOMAD_KEY_FILE",
            id="pair",
        ),
    ],
)
def test_error_names_settings_as_they_were_set(
    load: Load, text: str | None, variables: dict[str, Any], flags: dict[str, Any], error: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(text, variables, **flags)

    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("variables", "flags", "error"),
    [
        pytest.param({}, {}, "9s exceeds 80 % of poll.health_interval (5s); maximum is 4s", id="file-and-default"),
        pytest.param({}, {"interval": 3.0}, "9s exceeds 80 % of --poll.interval (3s); maximum is 2.4s", id="flag"),
        pytest.param(
            {"interval": 3.0},
            {},
            "9s exceeds 80 % of NOMAD_EXPORTER_POLL_INTERVAL (3s); maximum is 2.4s",
            id="file-and-variable",
        ),
    ],
)
def test_error_in_file_names_line_and_key(
    load: Load, tmp_path: Path, variables: dict[str, Any], flags: dict[str, Any], error: str
) -> None:
    with pytest.raises(DocumentError) as raised:
        load("poll:\n  timeout: 9s\n", variables, **flags)

    assert str(raised.value) == f"{tmp_path}/fleet.yml:2: poll.timeout: {error}"


# The name of the agent that runs the task.


def load_in_task(reported: str) -> Config:
    """Load the configuration in a task whose agent reports this name."""
    address = "unix:///api.sock"
    values = {**DEFAULTS, "address": SETTINGS["address"].parse(address)}
    environment = {TASK_ADDRESS: address}
    raw = RawSettings(values=values, flags=frozenset(), defaults=frozenset(DEFAULTS), environment=environment)
    return load_config(raw, "host-1", lambda _: reported)


def test_agent_of_task_has_the_reported_name() -> None:
    config = load_in_task("worker-17")

    assert ([agent.name for agent in config.agents], config.warnings) == (["worker-17"], ())


@pytest.mark.parametrize("reported", ["", "two\nlines", "\x1b[31m", "x" * 201])
def test_unusable_name_leads_to_host_name_and_a_warning(reported: str) -> None:
    config = load_in_task(reported)

    assert [agent.name for agent in config.agents] == ["host-1"]
    assert [warning for warning in config.warnings if "did not report its node name" in warning]
