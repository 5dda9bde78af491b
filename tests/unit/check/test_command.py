"""The command line of a check: its settings, the agents it polls, its timeout and its errors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nomad_exporter.check.command import UNKNOWN, _polling_seconds, command
from nomad_exporter.config.settings import SETTINGS, Setting
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, SELF, Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.lines import State
from tests.support.answers import REFUSED, FakeClock
from tests.support.fleets import AT, reading


@dataclass(frozen=True)
class Polled:
    """The arguments of one call that polls agents."""

    agents: list[Agent]
    sources: set[Source[Any]]
    seconds: float


@pytest.fixture(autouse=True)
def _clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NOMAD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> list[Polled]:
    """Record the calls that poll agents; every agent refuses the connection."""
    calls: list[Polled] = []

    def poll_agents(agents: Iterable[Agent], sources: Collection[Source[Any]], seconds: float) -> list[Snapshot]:
        chosen = list(agents)
        calls.append(Polled(chosen, set(sources), seconds))
        return [Snapshot(agent).after(reading(HEALTH, REFUSED)) for agent in chosen]

    monkeypatch.setattr("nomad_exporter.check.command._poll_agents", poll_agents)
    monkeypatch.setattr("nomad_exporter.clock.now", lambda: AT)
    monkeypatch.setattr("time.process_time", lambda: 0.1)
    return calls


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    """Write a file that lists three agents."""
    path = tmp_path / "fleet.yml"
    agents = [{"name": name, "address": f"http://{name}.example.org:4646"} for name in ("s1", "s2", "c1")]
    path.write_text(json.dumps({"agents": agents, "poll": {"timeout": "2s"}, "web": {"listen_address": [":1"]}}))
    return str(path)


def check(*arguments: str) -> int:
    code: int = command().main([*arguments], standalone_mode=False)
    return code


@pytest.fixture
def error_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return the line with which a check refuses its arguments."""

    def error_of_arguments(*arguments: str) -> str:
        assert check(*arguments) == UNKNOWN
        output = capsys.readouterr()
        (line,) = output.err.splitlines()
        assert output.out == ""
        return line.removeprefix("nomad-exporter: ")

    return error_of_arguments


def test_default_check_polls_local_agent_for_ready(polled: list[Polled]) -> None:
    assert check() == 2

    (call,) = polled
    assert [str(agent.address) for agent in call.agents] == ["http://127.0.0.1:4646"]
    assert call.sources == {HEALTH, SELF}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        pytest.param(["ready"], ["s1", "s2", "c1"], id="all"),
        pytest.param(["--agent", "s2"], ["s2"], id="one"),
        pytest.param(["live", "--agent", "c1", "--agent", "s1"], ["s1", "c1"], id="two in the order of the file"),
        pytest.param(["--agent", "s1", "--agent", "s1"], ["s1"], id="a repeated name"),
        pytest.param(["quorum", "--agent", "s2"], ["s1", "s2", "c1"], id="all for quorum"),
    ],
)
def test_only_selected_agents_are_polled(
    polled: list[Polled], fleet: str, arguments: list[str], names: list[str]
) -> None:
    check("--config.file", fleet, *arguments)

    assert [agent.name for agent in polled[0].agents] == names


def test_only_selected_agents_are_reported(
    polled: list[Polled], fleet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check("--config.file", fleet, "quorum", "--agent", "s2")

    line, remedy = capsys.readouterr().out.splitlines()
    assert line.startswith("CRITICAL s2 quorum: ")
    assert remedy.startswith("  Remedy: ")


def test_unknown_agent_is_refused_with_known_names(
    polled: list[Polled], fleet: str, error_of: Callable[..., str]
) -> None:
    line = error_of("--config.file", fleet, "--agent", "s9")

    assert line == "--agent must be one of s1, s2, c1 (got 's9')"
    assert polled == []


@pytest.mark.parametrize(
    ("arguments", "environment", "timeout"),
    [
        pytest.param([], {}, 4.0, id="default"),
        pytest.param(["--poll.timeout", "3s"], {}, 3.0, id="poll timeout"),
        pytest.param(["--poll.timeout", "3s", "--timeout", "2s"], {}, 2.0, id="timeout of the check"),
        pytest.param(["--timeout", "30s"], {}, 30.0, id="longer than a poll of the exporter"),
        pytest.param([], {"NOMAD_EXPORTER_POLL_TIMEOUT": "1s"}, 1.0, id="variable"),
        pytest.param([], {"NOMAD_EXPORTER_POLL_HEALTH_INTERVAL": "2s"}, 4.0, id="interval without effect"),
    ],
)
def test_timeout_defaults_to_poll_timeout(
    polled: list[Polled],
    arguments: list[str],
    environment: dict[str, str],
    timeout: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    check(*arguments)

    assert polled[0].seconds == _polling_seconds(timeout, 0.1)


@pytest.mark.parametrize(
    ("timeout", "elapsed", "seconds"),
    [
        pytest.param(4.0, 0.15, 3.65, id="minus start and end"),
        pytest.param(60.0, 0.2, 59.6, id="longest timeout"),
        pytest.param(0.2, 0.15, 0.1, id="at least half"),
        pytest.param(0.01, 5.0, 0.01, id="never zero"),
    ],
)
def test_polling_takes_what_is_left_of_timeout(timeout: float, elapsed: float, seconds: float) -> None:
    assert _polling_seconds(timeout, elapsed) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("soon", "a duration such as 15s, 500ms or 1m30s"), ("0s", "from 10ms to 24h"), ("61s", "at most 1m")],
)
def test_invalid_timeout_is_refused(text: str, problem: str, error_of: Callable[..., str]) -> None:
    assert error_of("--timeout", text) == f"--timeout must be {problem} (got '{text}')"


def test_wait_repeats_the_check_until_its_time_is_up(polled: list[Polled], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr("nomad_exporter.clock.now", clock)
    monkeypatch.setattr("time.sleep", clock.advance)

    assert check("--wait", "5s", "--timeout", "2s") == 2
    assert [call.seconds for call in polled] == pytest.approx([1.7, 1.7, 1.7, 1.7, 1.0])


def test_unreadable_credential_ends_the_wait_at_once(
    polled: list[Polled], error_of: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "fleet.yml"
    file.write_text("agents:\n- {name: a, address: 'http://a:4646', token_file: none}\n- {address: 'http://b:4646'}\n")

    line = error_of("--wait=5m", "--nomad.token-file", "/no/token")
    assert line == "--nomad.token-file /no/token: No such file or directory"
    line = error_of("--wait=5m", "--config.file", str(file))
    assert line == f"{file}:2: agents[0].token_file: {tmp_path}/none: No such file or directory"
    assert polled == []


def test_credentials_of_agents_that_are_not_checked_do_not_matter(polled: list[Polled], tmp_path: Path) -> None:
    file = tmp_path / "fleet.yml"
    file.write_text(
        "agents:\n- {name: a, address: 'http://a:4646', token_file: none}\n- {name: b, address: 'http://b:4646'}\n"
    )

    assert check("--wait=10ms", "--config.file", str(file), "--agent=b") == 2


def test_autopilot_is_polled_if_enabled(polled: list[Polled]) -> None:
    check("quorum", "--poll.autopilot")

    assert AUTOPILOT in polled[0].sources


def test_warn_reports_failure_as_warning(polled: list[Polled], capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--warn", "--nomad.agent-name", "s1") == 1
    assert capsys.readouterr().out.startswith("WARNING s1 ready: unresponsive: ")


@pytest.mark.parametrize(
    "setting",
    [setting for setting in SETTINGS.values() if setting.section in ("web", "log")],
    ids=lambda setting: setting.name,
)
def test_flag_without_effect_is_refused(setting: Setting, error_of: Callable[..., str]) -> None:
    assert error_of(setting.flag, "1").startswith(f"No such option '{setting.flag}'")


def test_every_error_is_unknown(error_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of("--nomad.cert-file", "cert") == "--nomad.cert-file requires --nomad.key-file"
    assert error_of("sleepy").startswith("Invalid value for ")
    assert error_of("--config.file", "/no/such/file") == "--config.file /no/such/file: No such file or directory"
    monkeypatch.setattr("nomad_exporter.check.command.load_config", lambda *_: 1 / 0)
    assert error_of().startswith("internal error, please report it: ZeroDivisionError in test_command.py:")


def test_exit_code_of_an_error_is_that_of_unknown() -> None:
    assert State.UNKNOWN == UNKNOWN


def test_variable_without_effect_is_accepted(polled: list[Polled], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_EXPORTER_WEB_LISTEN_ADDRESS", ":1 :2")
    monkeypatch.setenv("NOMAD_EXPORTER_VERDICT_FAILURE_THRESHOLD", "9")

    assert check("live") == 2


def test_help_lists_only_flags_with_effect(capsys: pytest.CaptureFixture[str]) -> None:
    check("--help")

    text = capsys.readouterr().out
    assert [
        flag for flag in ("--nomad.address", "--poll.timeout", "--verdict.max-leader-contact") if flag not in text
    ] == []
    assert [
        flag for flag in ("--web.", "--log.", "--poll.interval", "--verdict.failure-threshold") if flag in text
    ] == []


def test_check_in_task_does_not_request_node_name(
    polled: list[Polled], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOMAD_UNIX_ADDR", "unix:///secrets/api.sock")
    monkeypatch.setenv("NOMAD_ADDR", "")
    monkeypatch.setattr("nomad_exporter.nomad.naming.node_name", lambda _: pytest.fail("node name requested"))

    check()

    assert capsys.readouterr().err == ""


def test_ignored_setting_is_reported_on_stderr(
    polled: list[Polled], fleet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check("--config.file", fleet, "--nomad.address", "http://other:4646")

    output = capsys.readouterr()
    assert output.err == "nomad-exporter: --nomad.address is ignored: the configuration file lists agents\n"
    assert [line.split()[1] for line in output.out.splitlines()] == ["s1", "s2", "c1", "for"]
