"""The command: sources of settings and their precedence, help, errors and exit codes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from nomad_exporter import __version__
from nomad_exporter.cli import COMMANDS, LIBRARY_VARIABLES, command
from nomad_exporter.cli_options import help_text
from nomad_exporter.config.model import Config, ConfigError, DocumentError
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.nomad.agent import Address
from nomad_exporter.server.listen import Listen, listen
from tests.support.exporter import environment, run, running

LoadArguments = Callable[..., Config]


@pytest.fixture(autouse=True)
def _clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NOMAD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> LoadArguments:
    """Return the configuration with which these arguments would start the exporter."""

    def load_arguments(*arguments: str) -> Config:
        configs: list[Config] = []

        def run_exporter(config: Config, _: Callable[[], Config | str]) -> int:
            configs.append(config)
            return 0

        monkeypatch.setattr("nomad_exporter.app.run", run_exporter)
        assert command().main([*arguments], standalone_mode=False) == 0
        (config,) = configs
        return config

    return load_arguments


def error_of(*arguments: str) -> str:
    """Return the error with which these arguments are refused."""
    with pytest.raises(click.ClickException) as raised:
        command().main([*arguments], standalone_mode=False)
    return raised.value.format_message()


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


def test_default_agent_is_local(load: LoadArguments) -> None:
    config = load()

    (agent,) = config.agents
    assert (agent.name, agent.address) == (socket.gethostname(), Address("http", "127.0.0.1", 4646))
    assert config.listen == (Listen("", 9441),)
    assert (config.log_level, config.log_format) == ("info", "logfmt")


def test_flags_reach_configuration(load: LoadArguments) -> None:
    config = load(
        *("--nomad.address", "https://nomad:4646", "--nomad.agent-name", "n1", "--nomad.token-file", "token"),
        *("--nomad.ca-file", "ca", "--nomad.ca-path", "cas", "--nomad.cert-file", "cert", "--nomad.key-file", "key"),
        *("--nomad.server-name", "server.global.nomad", "--nomad.skip-verify", "--nomad.cluster", "east"),
        *("--poll.interval", "30s", "--poll.health-interval", "10s", "--poll.timeout", "3s", "--poll.max-age", "1m"),
        *("--web.listen-address", "127.0.0.1:1", "--web.listen-address", "unix:/x"),
        *("--log.level", "debug", "--log.format", "json"),
    )

    (agent,) = config.agents
    assert (agent.name, agent.cluster, agent.address) == ("n1", "east", Address("https", "nomad", 4646))
    assert agent.credentials.token_file == Path("token")
    assert (agent.tls.ca_file, agent.tls.ca_path) == (Path("ca"), Path("cas"))
    assert (agent.tls.cert_file, agent.tls.key_file) == (Path("cert"), Path("key"))
    assert (agent.tls.server_name, agent.tls.skip_verify) == ("server.global.nomad", True)
    poll = config.poll
    assert (poll.interval, poll.health_interval, poll.timeout, poll.max_age) == (30.0, 10.0, 3.0, 60.0)
    assert config.listen == (Listen("127.0.0.1", 1), Listen(path="/x"))
    assert (config.log_level, config.log_format) == ("debug", "json")


def test_nomad_variables_reach_configuration(load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
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

    (agent,) = load().agents

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
            {"NOMAD_ADDR": "http://of-nomad", "NOMAD_EXPORTER_NOMAD_ADDRESS": "http://exporter"},
            "exporter",
            id="exporter-over-nomad",
        ),
        pytest.param(
            ["--nomad.address=http://flag"],
            {"NOMAD_ADDR": "http://of-nomad", "NOMAD_EXPORTER_NOMAD_ADDRESS": "http://exporter"},
            "flag",
            id="flag-over-exporter",
        ),
        pytest.param(["--nomad.address=http://flag"], {"NOMAD_ADDR": "http://of-nomad"}, "flag", id="flag-over-nomad"),
        pytest.param(
            [],
            {"NOMAD_ADDR": "http://of-nomad", "NOMAD_EXPORTER_NOMAD_ADDRESS": ""},
            "of-nomad",
            id="empty-exporter-variable",
        ),
        pytest.param([], {"NOMAD_ADDR": "", "NOMAD_EXPORTER_NOMAD_ADDRESS": ""}, "127.0.0.1", id="two-empty-variables"),
    ],
)
def test_flag_precedes_exporter_variable_precedes_nomad_variable(
    arguments: list[str], environment: dict[str, str], host: str, load: LoadArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    (agent,) = load(*arguments).agents

    assert agent.address.host == host


@pytest.mark.parametrize(
    ("environment", "skips"),
    [
        pytest.param({"NOMAD_SKIP_VERIFY": "1"}, True, id="one"),
        pytest.param({"NOMAD_SKIP_VERIFY": "0"}, False, id="zero"),
        pytest.param({"NOMAD_SKIP_VERIFY": "false"}, False, id="false"),
        pytest.param(
            {"NOMAD_SKIP_VERIFY": "1", "NOMAD_EXPORTER_NOMAD_SKIP_VERIFY": "0"}, False, id="exporter-variable-wins"
        ),
        pytest.param(
            {"NOMAD_SKIP_VERIFY": "1", "NOMAD_EXPORTER_NOMAD_SKIP_VERIFY": ""}, True, id="empty-exporter-variable"
        ),
    ],
)
def test_switch_is_set_by_variables(
    environment: dict[str, str], skips: bool, load: LoadArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    (agent,) = load().agents

    assert agent.tls.skip_verify is skips


@pytest.mark.parametrize(
    "name", ["NOMAD_TOKEN", "NOMAD_HTTP_AUTH", "NOMAD_EXPORTER_POLL_INTERVAL", "NOMAD_CACERT", "NOMAD_CLIENT_CERT"]
)
def test_empty_variable_is_unset(name: str, load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
    default = load()
    monkeypatch.setenv(name, "")

    assert load() == default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("NOMAD_EXPORTER_PORT", "tcp://10.0.0.1:9441", id="injected-by-kubernetes"),
        pytest.param("NOMAD_EXPORTER_SERVICE_PORT_HTTP", "9441", id="also-injected-by-kubernetes"),
        pytest.param("NOMAD_EXPORTER_METRICS_PORT_9441_TCP_ADDR", "10.0.0.1", id="of-a-longer-service-name"),
        pytest.param("NOMAD_REGION", "west", id="region"),
        pytest.param("NOMAD_NAMESPACE", "apps", id="namespace"),
    ],
)
def test_other_variables_are_ignored(
    name: str, value: str, load: LoadArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = load()
    monkeypatch.setenv(name, value)

    assert load() == default


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("NOMAD_EXPORTER_POLL_INTERVALL", "NOMAD_EXPORTER_POLL_INTERVAL", id="typing-error"),
        pytest.param("NOMAD_EXPORTER_LISTEN_ADDRESS", "NOMAD_EXPORTER_WEB_LISTEN_ADDRESS", id="without-section"),
        pytest.param("NOMAD_EXPORTER_NOMAD_TOKEN", "NOMAD_TOKEN", id="secret"),
        pytest.param("NOMAD_EXPORTER_NOMAD_HTTP_AUTH", "NOMAD_HTTP_AUTH", id="other-secret"),
    ],
)
def test_unknown_variable_has_a_warning(
    name: str, meant: str, load: LoadArguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hidden-1")

    assert load().warnings == (f"{name} is ignored: unknown variable, did you mean {meant}?",)


@pytest.mark.parametrize("name", ["NOMAD_EXPORTER_PORT", "NOMAD_EXPORTER_X"])
def test_variable_like_no_other_has_a_warning(name: str, load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "9441")

    assert load().warnings == (f"{name} is ignored: unknown variable",)


def test_every_variable_of_a_setting_is_known(load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {variable: "" for setting in SETTINGS.values() for variable in setting.variables}
    for name, value in {**environment, "NOMAD_EXPORTER_CONFIG_FILE": ""}.items():
        monkeypatch.setenv(name, value)

    assert load().warnings == ()


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        pytest.param(
            [], {"NOMAD_CLIENT_CERT": "c"}, "NOMAD_CLIENT_CERT requires NOMAD_CLIENT_KEY", id="variable-of-nomad"
        ),
        pytest.param(["--nomad.key-file=k"], {}, "--nomad.key-file requires --nomad.cert-file", id="flag"),
    ],
)
def test_missing_half_of_a_pair_is_named_like_the_other(
    arguments: list[str], environment: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as raised:
        command().main(arguments, standalone_mode=False)

    assert str(raised.value) == line


def test_unreadable_file_names_flag_or_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DocumentError, match=r"^--config\.file /no/file: No such file or directory$"):
        command().main(["--config.file", "/no/file"], standalone_mode=False)
    monkeypatch.setenv("NOMAD_EXPORTER_CONFIG_FILE", "/no/file")
    with pytest.raises(DocumentError, match=r"^NOMAD_EXPORTER_CONFIG_FILE /no/file: No such file or directory$"):
        command().main([], standalone_mode=False)


def test_variable_holds_several_listen_addresses(load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:1 unix:/x")

    assert load().listen == (Listen("127.0.0.1", 1), Listen(path="/x"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            ["--poll.interval", "soon"],
            "--poll.interval must be a duration such as 15s, 500ms or 1m30s (got 'soon')",
            id="duration",
        ),
        pytest.param(
            ["--log.level", "loud"],
            "--log.level must be one of debug, info, warn, error (got 'loud')",
            id="choice",
        ),
        pytest.param(
            ["--web.listen-address", ":1", "--web.listen-address", "here"],
            "--web.listen-address must be an address such as :9441, 127.0.0.1:9441, [::1]:9441 or unix:/path "
            "(got 'here')",
            id="the-second-of-two",
        ),
    ],
)
def test_error_names_flag_and_valid_values(arguments: list[str], line: str) -> None:
    assert error_of(*arguments) == line


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("NOMAD_EXPORTER_POLL_INTERVAL", "soon", "must be a duration such as 15s, 500ms or 1m30s"),
        (
            "NOMAD_ADDR",
            "nomad:4646",
            "must be a URL such as http://127.0.0.1:4646, https://host:4646 or unix:///path/to/api.sock",
        ),
        ("NOMAD_SKIP_VERIFY", "perhaps", "must be true or false"),
        ("NOMAD_EXPORTER_NOMAD_CLUSTER", "a\nb", "must be one printable line of at most 200 characters"),
    ],
)
def test_error_names_variable(name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    assert error_of() == f"{name} {problem} (got {value!r})"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("NOMAD_TOKEN", "hidden-1\nhidden-2", "must be one line of printable ASCII"),
        ("NOMAD_TOKEN", "${hidden-1}", "must not contain a variable or template"),
        ("NOMAD_HTTP_AUTH", "user:$(hidden_1)", "must not contain a variable or template"),
    ],
)
def test_invalid_secret_names_its_variable_only(
    name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as raised:
        command().main([], standalone_mode=False)

    assert str(raised.value).startswith(f"{name} {problem}")
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("flag", ["--nomad.address", "--nomad.cluster", "--poll.timeout", "--web.listen-address"])
def test_variable_in_flag_is_refused(flag: str) -> None:
    assert error_of(flag, "${HOST}").startswith(f"{flag} must not contain a variable or template")


def test_error_masks_password_in_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_ADDR", "http://user:hidden-1@nomad:99999")

    line = error_of()

    assert line == "NOMAD_ADDR must have a port from 1 to 65535 (got 'http://********@nomad:99999')"
    assert "hidden-1" not in line


@pytest.mark.parametrize(
    ("flag", "instead"),
    [
        ("--nomad.token", "use --nomad.token-file, or set NOMAD_TOKEN"),
        ("--nomad.http-auth", "set NOMAD_HTTP_AUTH"),
        ("-token", "use --nomad.token-file, or set NOMAD_TOKEN"),
    ],
)
@pytest.mark.parametrize("separator", ["=", " "])
def test_secret_flag_is_refused_without_quoting_it(flag: str, instead: str, separator: str) -> None:
    line = error_of(*f"{flag}{separator}hidden-1".split())

    assert line.startswith(f"{flag} does not exist, because other users can see the arguments of a process: {instead}")
    assert "hidden-1" not in line


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("-web.listen-address", "--web.listen-address"),
        ("-log.level", "--log.level"),
        ("-address", "--nomad.address"),
        ("--address", "--nomad.address"),
        ("--web.listen_address", "--web.listen-address"),
        ("--nomad.adress", "--nomad.address"),
        ("-version", "--version"),
    ],
)
def test_unknown_flag_names_the_flag_that_is_meant(flag: str, meant: str) -> None:
    assert error_of(f"{flag}=hidden-1").startswith(f"No such option '{flag}'. Did you mean {meant}")
    assert error_of(flag, "hidden-1").startswith(f"No such option '{flag}'. Did you mean {meant}")


def test_password_in_flag_has_a_warning(load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
    (warning,) = load("--nomad.address=http://user:hidden-1@nomad:4646").warnings
    monkeypatch.setenv("NOMAD_ADDR", "http://user:hidden-1@nomad:4646")

    assert warning.startswith("--nomad.address has a password, which other users can see")
    assert "hidden-1" not in warning
    assert load().warnings == ()


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--version"], standalone_mode=False)

    assert only_line(capsys.readouterr().out).startswith(f"nomad-exporter, version {__version__} (python 3.")


def test_config_check_prints_summary_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Config] = []
    monkeypatch.setattr("nomad_exporter.app.run", started.append)

    code = command().main(
        ["--config.check", "--nomad.address", "http://user:hidden-1@nomad:4646", "--nomad.agent-name", "n1"],
        standalone_mode=False,
    )

    assert (code, started) == (0, [])
    line = only_line(capsys.readouterr().out)
    assert line == "Configuration is valid: monitoring n1 at http://nomad:4646; serving on :9441."


def test_help_lists_every_flag_and_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--help"], standalone_mode=False)

    text = " ".join(capsys.readouterr().out.split())
    public = [setting for setting in SETTINGS.values() if not setting.secret]
    assert [setting.flag for setting in public if f" {setting.flag} " not in text] == []
    assert [setting.flag for setting in public if help_text(setting) not in text] == []
    assert text.count("(default: ") == sum("(default: " in help_text(setting) for setting in public)


@pytest.mark.parametrize("name", ["", "check"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_options_by_section(name: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    selected = COMMANDS[name].load() if name else command()
    selected.main([flag], standalone_mode=False)

    headings = re.findall(r"^([A-Z]\w+):$", capsys.readouterr().out, re.MULTILINE)
    assert headings == (
        ["General", "Agent", "Polling", "Verdicts"]
        if name
        else ["Agent", "Polling", "Verdicts", "Web", "Logging", "General", "Commands"]
    )


@pytest.mark.parametrize("name", ["", "check"])
def test_help_names_documentation(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    selected = COMMANDS[name].load() if name else command()
    selected.main(["--help"], standalone_mode=False)

    assert "\n  Documentation: README.md and docs/ " in capsys.readouterr().out


@pytest.mark.slow
def test_help_has_one_line_per_option_in_120_columns() -> None:
    ended = run("--help", env={"COLUMNS": "120"})

    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(lines) <= 65
    assert max(map(len, lines)) <= 120
    assert [line for line in lines if line.startswith(" " * 10)] == []


@pytest.mark.slow
def test_help_fits_in_width_of_terminal() -> None:
    ended = run("--help", env={"COLUMNS": "100"})

    assert (ended.returncode, ended.stderr) == (0, "")
    assert max(map(len, ended.stdout.splitlines())) <= 100


@pytest.mark.slow
def test_command_prints_version() -> None:
    ended = run("--version")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert __version__ in only_line(ended.stdout)


@pytest.mark.slow
def test_wrong_setting_is_one_line_and_exit_code_2() -> None:
    ended = run("--poll.interval", "soon\nor later")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr).startswith("nomad-exporter: --poll.interval must be a duration ")


@pytest.mark.slow
def test_conflicting_settings_are_one_line_and_exit_code_2() -> None:
    ended = run("--poll.timeout", "10s")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr).startswith("nomad-exporter: --poll.timeout 10s exceeds 80 % of ")


@pytest.mark.slow
def test_config_check_reads_credential_files() -> None:
    ended = run("--config.check", "--nomad.agent-name", "n1", "--nomad.token-file", "/no/such/token")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr) == "nomad-exporter: --nomad.token-file /no/such/token: No such file or directory"


@pytest.mark.slow
def test_port_in_use_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run("--web.listen-address", address)

    assert (ended.returncode, ended.stdout) == (2, "")
    line = only_line(ended.stderr)
    assert line.startswith(f"nomad-exporter: --web.listen-address {address}: Address already in use")


@pytest.mark.slow
def test_port_in_use_names_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run(env={"NOMAD_EXPORTER_WEB_LISTEN_ADDRESS": address})

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr).startswith(f"nomad-exporter: NOMAD_EXPORTER_WEB_LISTEN_ADDRESS {address}: ")


@pytest.mark.slow
def test_unix_socket_in_use_is_refused_and_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listen(Listen(path=path)), socket.socket(socket.AF_UNIX) as caller:
        ended = run("--web.listen-address", f"unix:{path}")
        caller.connect(path)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr) == (f"nomad-exporter: --web.listen-address unix:{path}: Address already in use")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--nomad.agent-name", "check"]], ids=["default", "named-check"])
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_signal_during_start_exits_cleanly(number: str, arguments: list[str]) -> None:
    script = (
        "import os, signal; from nomad_exporter import app, cli;"
        f"app.run = lambda *_: os.kill(os.getpid(), signal.{number}) or 1; cli.main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environment(), capture_output=True, timeout=20
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_check_without_a_result(number: signal.Signals) -> None:
    script = (
        "import os; from nomad_exporter import cli; from nomad_exporter.check import command;"
        f"command.load_config = lambda *_: os.kill(os.getpid(), {number:d}); cli.main()"
    )

    ended = subprocess.run([sys.executable, "-c", script, "check"], env=environment(), capture_output=True, timeout=20)

    assert (ended.returncode, ended.stdout, ended.stderr) == (-number, b"", b"")


@pytest.mark.parametrize("address", ["http://user:hidden-1@nomad:99999", "htp://user:hidden-1@nomad"])
def test_error_masks_password_in_invalid_url(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_ADDR", address)

    line = error_of()

    assert line.startswith("NOMAD_ADDR must ")
    assert "hidden-1" not in line


@pytest.mark.slow
def test_invalid_listen_host_is_one_line_and_exit_code_2() -> None:
    ended = run("--web.listen-address", "nomad..example.org:9441")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr).startswith("nomad-exporter: --web.listen-address nomad..example.org:9441: ")


def test_switch_with_empty_variable_is_off(load: LoadArguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_SKIP_VERIFY", "")

    (agent,) = load().agents

    assert agent.tls.skip_verify is False


@pytest.mark.slow
def test_options_before_command_are_those_of_the_command() -> None:
    before = run("--nomad.address", "http://127.0.0.1:1", "--nomad.agent-name", "a", "check", "live")
    after = run("check", "live", "--nomad.address", "http://127.0.0.1:1", "--nomad.agent-name", "a")

    assert (before.returncode, before.stdout, before.stderr) == (2, after.stdout, "")
    assert before.stdout.startswith("CRITICAL a live: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--web.listen-address", ":1", "check"], 3, "No such option '--web.listen-address'."),
        (["--nomad.address", "http://127.0.0.1:1", "demo"], 2, "No such option '--nomad.address'."),
        (["--nomad.address", "http://127.0.0.1:1", "nowhere"], 2, "No such command 'nowhere'."),
        (["--poll.interval"], 2, "Option '--poll.interval' requires an argument."),
    ],
)
def test_option_that_command_lacks_is_refused(arguments: list[str], code: int, line: str) -> None:
    ended = run(*arguments)

    assert (ended.returncode, ended.stdout) == (code, "")
    assert only_line(ended.stderr) == f"nomad-exporter: {line}"


@pytest.mark.slow
def test_value_that_equals_a_command_selects_no_command() -> None:
    ended = run("--nomad.agent-name", "check", "--poll.interval", "3")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert only_line(ended.stderr).startswith("nomad-exporter: --poll.interval must be a duration ")


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--help"], ["check", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_no_other_command_and_nothing_heavy(flags: list[str]) -> None:
    script = "import sys; from nomad_exporter import cli; cli._run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", script, *flags], env=environment(), capture_output=True, text=True)

    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    assert ended.returncode == 0
    assert not loaded & {
        "nomad_sim",
        "requests",
        "urllib3",
        "ssl",
        "msgspec",
        "asyncio",
        "uvicorn",
        "prometheus_client",
    }
    assert ("nomad_exporter.check.command" in ended.stderr.split()) == ("check" in flags)


@pytest.mark.slow
def test_command_ignores_settings_that_it_does_not_read() -> None:
    ended = run("demo", "--help", env={"NOMAD_ADDR": "nowhere"})

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: nomad-exporter demo [OPTIONS]")


@pytest.mark.parametrize("name", ["check", "demo"])
def test_help_lists_commands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--help"], standalone_mode=False)

    assert re.search(rf"^  {name}  +[A-Z].*\.$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patched", "arguments", "code"),
    [
        pytest.param("cli.load_config", [], 70, id="exporter"),
        pytest.param("cli._run", ["check"], 70, id="outside of check"),
        pytest.param("check.command.load_config", ["check"], 3, id="check"),
    ],
)
def test_internal_error_is_one_line(patched: str, arguments: list[str], code: int) -> None:
    script = (
        "import nomad_exporter.cli, nomad_exporter.check.command;"
        f"nomad_exporter.{patched} = lambda *_: {{}}[0]; nomad_exporter.cli.main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environment(), capture_output=True, text=True, timeout=20
    )

    assert (ended.returncode, ended.stdout) == (code, "")
    assert only_line(ended.stderr).startswith("nomad-exporter: internal error, please report it: KeyError in ")


@pytest.mark.slow
@pytest.mark.parametrize("value", ["/no/such/directory", "1"])
def test_variables_of_libraries_have_no_effect(value: str) -> None:
    with running(env=dict.fromkeys(LIBRARY_VARIABLES, value)) as exporter:
        page = exporter.get("/metrics").text

    assert "process_start_time_seconds" in page
    assert 'nomad_exporter_build_info{version="' in page


@pytest.mark.slow
def test_metrics_of_the_exporter_leave_no_files(tmp_path: Path) -> None:
    with running(env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}) as exporter:
        exporter.get("/metrics")

    assert [*tmp_path.iterdir()] == []
