"""The command: where each setting comes from, which wins, and how a wrong one is told."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from nomad_exporter import __version__
from nomad_exporter.cli import command
from nomad_exporter.config.model import Config
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.nomad.agent import Address
from nomad_exporter.serving.listen import Listen, listen
from tests.support.exporter import environment, run

Planner = Callable[..., Config]


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NOMAD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Planner:
    """The plan with which the exporter would run, had it been started with these arguments."""

    def start(*arguments: str) -> Config:
        plans: list[Config] = []

        def take(plan: Config, _: Callable[[], Config | str]) -> int:
            plans.append(plan)
            return 0

        monkeypatch.setattr("nomad_exporter.app.run", take)
        assert command().main([*arguments], standalone_mode=False) == 0
        (plan,) = plans
        return plan

    return start


def refusal(*arguments: str) -> str:
    """The words with which a start with these arguments is refused."""
    with pytest.raises(click.ClickException) as refused:
        command().main([*arguments], standalone_mode=False)
    return refused.value.format_message()


def the_one_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


def test_without_any_setting_the_agent_on_this_machine_is_watched(planned: Planner) -> None:
    plan = planned()

    (agent,) = plan.agents
    assert (agent.name, agent.address) == (socket.gethostname(), Address("http", "127.0.0.1", 4646))
    assert plan.listen == (Listen("", 9441),)
    assert (plan.log_level, plan.log_format) == ("info", "logfmt")


def test_every_flag_reaches_the_plan(planned: Planner) -> None:
    plan = planned(
        *("--nomad.address", "https://nomad:4646", "--nomad.agent-name", "n1", "--nomad.token-file", "token"),
        *("--nomad.ca-file", "ca", "--nomad.ca-path", "cas", "--nomad.cert-file", "cert", "--nomad.key-file", "key"),
        *("--nomad.server-name", "server.global.nomad", "--nomad.skip-verify"),
        *("--poll.interval", "30s", "--poll.health-interval", "10s", "--poll.timeout", "3s", "--poll.max-age", "1m"),
        *("--web.listen-address", "127.0.0.1:1", "--web.listen-address", "unix:/x"),
        *("--log.level", "debug", "--log.format", "json"),
    )

    (agent,) = plan.agents
    assert (agent.name, agent.address) == ("n1", Address("https", "nomad", 4646))
    assert agent.credentials.token_file == Path("token")
    assert (agent.tls.ca_file, agent.tls.ca_path) == (Path("ca"), Path("cas"))
    assert (agent.tls.cert_file, agent.tls.key_file) == (Path("cert"), Path("key"))
    assert (agent.tls.server_name, agent.tls.skip_verify) == ("server.global.nomad", True)
    cadence = plan.poll
    assert (cadence.interval, cadence.health_interval, cadence.timeout, cadence.max_age) == (30.0, 10.0, 3.0, 60.0)
    assert plan.listen == (Listen("127.0.0.1", 1), Listen(path="/x"))
    assert (plan.log_level, plan.log_format) == ("debug", "json")


def test_every_setting_of_the_nomad_command_is_taken_from_its_variable(
    planned: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "NOMAD_ADDR": "https://nomad:4646",
        "NOMAD_TOKEN": "hidden-1",
        "NOMAD_HTTP_AUTH": "user:hidden-2",
        "NOMAD_CACERT": "ca",
        "NOMAD_CAPATH": "cas",
        "NOMAD_CLIENT_CERT": "cert",
        "NOMAD_CLIENT_KEY": "key",
        "NOMAD_TLS_SERVER_NAME": "server.global.nomad",
        "NOMAD_SKIP_VERIFY": "true",
    }.items():
        monkeypatch.setenv(name, value)

    (agent,) = planned().agents

    assert agent.address == Address("https", "nomad", 4646)
    secrets = (agent.credentials.token, agent.credentials.basic_auth)
    assert [secret and secret.reveal() for secret in secrets] == ["hidden-1", "user:hidden-2"]
    assert (agent.tls.ca_file, agent.tls.ca_path) == (Path("ca"), Path("cas"))
    assert (agent.tls.cert_file, agent.tls.key_file) == (Path("cert"), Path("key"))
    assert (agent.tls.server_name, agent.tls.skip_verify) == ("server.global.nomad", True)


@pytest.mark.parametrize(
    ("arguments", "environment", "host"),
    [
        pytest.param([], {}, "127.0.0.1", id="default"),
        pytest.param([], {"NOMAD_ADDR": "http://of-nomad"}, "of-nomad", id="nomad-over-default"),
        pytest.param(
            [],
            {"NOMAD_ADDR": "http://of-nomad", "NOMAD_EXPORTER_NOMAD_ADDRESS": "http://own"},
            "own",
            id="own-over-nomad",
        ),
        pytest.param(
            ["--nomad.address=http://flag"],
            {"NOMAD_ADDR": "http://of-nomad", "NOMAD_EXPORTER_NOMAD_ADDRESS": "http://own"},
            "flag",
            id="flag-over-own",
        ),
        pytest.param(["--nomad.address=http://flag"], {"NOMAD_ADDR": "http://of-nomad"}, "flag", id="flag-over-nomad"),
        pytest.param(
            [],
            {"NOMAD_ADDR": "http://of-nomad", "NOMAD_EXPORTER_NOMAD_ADDRESS": ""},
            "of-nomad",
            id="an-empty-own-is-unset",
        ),
        pytest.param(
            [], {"NOMAD_ADDR": "", "NOMAD_EXPORTER_NOMAD_ADDRESS": ""}, "127.0.0.1", id="two-empty-ones-are-unset"
        ),
    ],
)
def test_a_flag_wins_over_the_own_variable_and_that_over_the_one_of_nomad(
    arguments: list[str], environment: dict[str, str], host: str, planned: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    (agent,) = planned(*arguments).agents

    assert agent.address.host == host


@pytest.mark.parametrize(
    ("environment", "skips"),
    [
        pytest.param({"NOMAD_SKIP_VERIFY": "1"}, True, id="one"),
        pytest.param({"NOMAD_SKIP_VERIFY": "0"}, False, id="zero"),
        pytest.param({"NOMAD_SKIP_VERIFY": "false"}, False, id="false"),
        pytest.param({"NOMAD_SKIP_VERIFY": "1", "NOMAD_EXPORTER_NOMAD_SKIP_VERIFY": "0"}, False, id="own-wins"),
        pytest.param({"NOMAD_SKIP_VERIFY": "1", "NOMAD_EXPORTER_NOMAD_SKIP_VERIFY": ""}, True, id="empty-own-is-unset"),
    ],
)
def test_a_switch_can_be_set_by_its_variables(
    environment: dict[str, str], skips: bool, planned: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    (agent,) = planned().agents

    assert agent.tls.skip_verify is skips


@pytest.mark.parametrize(
    "name", ["NOMAD_TOKEN", "NOMAD_HTTP_AUTH", "NOMAD_EXPORTER_POLL_INTERVAL", "NOMAD_CACERT", "NOMAD_CLIENT_CERT"]
)
def test_an_empty_variable_counts_as_not_set(name: str, planned: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = planned()
    monkeypatch.setenv(name, "")

    assert planned() == usual


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("NOMAD_EXPORTER_PORT", "tcp://10.0.0.1:9441", id="injected-by-kubernetes"),
        pytest.param("NOMAD_EXPORTER_SERVICE_PORT_HTTP", "9441", id="injected-by-kubernetes-too"),
        pytest.param("NOMAD_EXPORTER_NOMAD_TOKEN", "hidden-1", id="secrets-have-no-variable-of-ours"),
        pytest.param("NOMAD_REGION", "west", id="region"),
        pytest.param("NOMAD_NAMESPACE", "apps", id="namespace"),
    ],
)
def test_a_variable_that_is_no_setting_is_ignored(
    name: str, value: str, planned: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = planned()
    monkeypatch.setenv(name, value)

    assert planned() == usual


def test_several_addresses_to_listen_on_stand_in_one_variable(
    planned: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOMAD_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:1 unix:/x")

    assert planned().listen == (Listen("127.0.0.1", 1), Listen(path="/x"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            ["--poll.interval", "soon"],
            "Invalid value for '--poll.interval': 'soon': not a duration such as 15s, 500ms or 1m30s",
            id="duration",
        ),
        pytest.param(
            ["--log.level", "loud"],
            "Invalid value for '--log.level': 'loud': must be one of debug, info, warn, error",
            id="word",
        ),
        pytest.param(
            ["--web.listen-address", ":1", "--web.listen-address", "here"],
            "Invalid value for '--web.listen-address': 'here': "
            "must be like :9441, 127.0.0.1:9441, [::1]:9441 or unix:/path",
            id="the-second-of-two",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_flag_and_what_is_wanted(arguments: list[str], line: str) -> None:
    assert refusal(*arguments) == line


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("NOMAD_EXPORTER_POLL_INTERVAL", "soon", "--poll.interval"),
        ("NOMAD_ADDR", "nomad:4646", "--nomad.address"),
        ("NOMAD_SKIP_VERIFY", "perhaps", "--nomad.skip-verify"),
    ],
)
def test_a_wrong_variable_is_told_with_the_flag_of_its_setting(
    name: str, value: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert f"'{flag}': '{value}'" in refusal()


def test_the_password_in_a_wrong_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_ADDR", "http://user:hidden-1@nomad:99999")

    line = refusal()

    assert "'--nomad.address': 'http://********@nomad:99999'" in line
    assert "hidden-1" not in line


@pytest.mark.parametrize("flag", ["--nomad.token", "--nomad.http-auth"])
def test_a_secret_cannot_be_given_as_an_argument_and_is_not_repeated(flag: str) -> None:
    line = refusal(f"{flag}=hidden-1")

    assert f"'{flag}'" in line
    assert "hidden-1" not in line


def test_the_version_is_told_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--version"], standalone_mode=False)

    assert the_one_line(capsys.readouterr().out).startswith(f"nomad-exporter, version {__version__} (python 3.")


def test_a_check_tells_what_would_be_done_and_does_not_do_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Config] = []
    monkeypatch.setattr("nomad_exporter.app.run", started.append)

    code = command().main(
        ["--config.check", "--nomad.address", "http://user:hidden-1@nomad:4646", "--nomad.agent-name", "n1"],
        standalone_mode=False,
    )

    assert (code, started) == (0, [])
    line = the_one_line(capsys.readouterr().out)
    assert line == "The settings are good: watching n1 at http://nomad:4646; serving on :9441."


def test_the_help_tells_every_flag_and_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--help"], standalone_mode=False)

    words = " ".join(capsys.readouterr().out.split())
    public = [row for row in SETTINGS.values() if not row.secret]
    assert [row.flag for row in public if f" {row.flag} " not in words] == []
    assert [row.flag for row in public if row.default and f"{row.help} [default: {row.default}] -" not in words] == []
    assert words.count("[default: ") == sum(row.default is not None for row in public)


def test_the_help_fits_on_a_screen() -> None:
    ended = run("--help", env={"COLUMNS": "100"})

    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 100


def test_the_version_is_told_at_once_by_the_command() -> None:
    ended = run("--version")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert __version__ in the_one_line(ended.stdout)


def test_a_wrong_setting_ends_the_start_with_one_line_and_exit_code_2() -> None:
    ended = run("--poll.interval", "soon\nor later")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert the_one_line(ended.stderr).startswith("nomad-exporter: Invalid value for '--poll.interval': ")


def test_settings_that_do_not_go_together_end_the_start_likewise() -> None:
    ended = run("--poll.timeout", "10s")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert the_one_line(ended.stderr).startswith("nomad-exporter: --poll.timeout: 10s is too long ")


def test_a_credential_file_that_cannot_be_read_is_found_by_the_check() -> None:
    ended = run("--config.check", "--nomad.agent-name", "n1", "--nomad.token-file", "/no/such/token")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert the_one_line(ended.stderr) == "nomad-exporter: --nomad.token-file: /no/such/token: No such file or directory"


def test_a_port_that_is_taken_ends_the_start_with_one_line_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run("--web.listen-address", address)

    assert (ended.returncode, ended.stdout) == (2, "")
    line = the_one_line(ended.stderr)
    assert line.startswith(f"nomad-exporter: --web.listen-address: {address}: Address already in use")


def test_a_unix_socket_that_somebody_listens_on_ends_the_start_and_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listen(Listen(path=path)), socket.socket(socket.AF_UNIX) as caller:
        ended = run("--web.listen-address", f"unix:{path}")
        caller.connect(path)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert the_one_line(ended.stderr) == (f"nomad-exporter: --web.listen-address: unix:{path}: Address already in use")


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_stop_while_the_exporter_still_starts_is_clean(number: str) -> None:
    script = (
        "import os, signal; from nomad_exporter import app, cli;"
        f"app.run = lambda *_: os.kill(os.getpid(), signal.{number}) or 1; cli.main()"
    )

    ended = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, timeout=20)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@pytest.mark.parametrize("address", ["http://user:hidden-1@nomad:99999", "htp://user:hidden-1@nomad"])
def test_the_password_of_a_wrong_address_is_not_repeated(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_ADDR", address)

    line = refusal()

    assert "'--nomad.address'" in line
    assert "hidden-1" not in line


def test_a_host_that_can_have_no_address_ends_the_start_with_one_line() -> None:
    ended = run("--web.listen-address", "nomad..example.org:9441")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert the_one_line(ended.stderr).startswith("nomad-exporter: --web.listen-address: nomad..example.org:9441: ")


def test_a_switch_that_was_not_set_is_off(planned: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_SKIP_VERIFY", "")

    (agent,) = planned().agents

    assert agent.tls.skip_verify is False


@pytest.mark.parametrize(("name", "code"), [("check", 3), ("demo", 2)])
def test_what_stands_before_the_name_of_a_command_is_refused_and_not_ignored(name: str, code: int) -> None:
    ended = run("--nomad.address", "http://127.0.0.1:1", name)

    assert (ended.returncode, ended.stdout) == (code, "")
    assert the_one_line(ended.stderr) == f"nomad-exporter: {name} must stand first, and its options behind it"


def test_a_command_is_not_hindered_by_a_setting_that_it_does_not_read() -> None:
    ended = run("demo", "--help", env={"NOMAD_ADDR": "nowhere"})

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: nomad-exporter demo [OPTIONS]")


@pytest.mark.parametrize("name", ["check", "demo"])
def test_the_help_names_what_else_there_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--help"], standalone_mode=False)

    assert re.search(rf"^  {name}  +[A-Z].*\.$", capsys.readouterr().out, re.MULTILINE)


def test_a_fault_of_ours_is_one_line_for_the_exporter_and_for_a_check() -> None:
    script = "from nomad_exporter import cli; cli._run = lambda _: {}[0]; cli.main()"
    start = [sys.executable, "-c", script]

    codes = {}
    for arguments in ([], ["check"]):
        ended = subprocess.run([*start, *arguments], env=environment(), capture_output=True, text=True, timeout=20)
        assert the_one_line(ended.stderr).startswith("nomad-exporter: internal error, please report it: KeyError in ")
        codes[len(arguments)] = ended.returncode

    assert codes == {0: 70, 1: 3}
