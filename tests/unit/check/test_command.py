"""The command line of a check: which settings it reads, whom it asks, how long, and what it refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from nomad_exporter.check.command import _seconds, command
from nomad_exporter.config.settings import SETTINGS, Setting
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from tests.support.answers import REFUSED
from tests.support.fleets import AT, reading


@dataclass(frozen=True)
class Asked:
    agents: list[Agent]
    sources: set[Source]
    seconds: float


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NOMAD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What is asked, of agents that all refuse."""
    taken: list[Asked] = []

    def take(agents: Iterable[Agent], sources: Collection[Source], seconds: float) -> list[Snapshot]:
        chosen = list(agents)
        taken.append(Asked(chosen, set(sources), seconds))
        return [Snapshot(agent).after(reading(Source.HEALTH, REFUSED)) for agent in chosen]

    monkeypatch.setattr("nomad_exporter.check.command._ask", take)
    monkeypatch.setattr("nomad_exporter.clock.now", lambda: AT)
    monkeypatch.setattr("time.process_time", lambda: 0.1)
    return taken


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    """A file that lists three agents."""
    path = tmp_path / "fleet.yml"
    agents = [{"name": name, "address": f"http://{name}.example.org"} for name in ("s1", "s2", "c1")]
    path.write_text(json.dumps({"agents": agents, "poll": {"timeout": "2s"}, "web": {"listen_address": [":1"]}}))
    return str(path)


def check(*arguments: str) -> int:
    code: int = command().main([*arguments], standalone_mode=False)
    return code


def refusal(*arguments: str) -> str:
    with pytest.raises(click.ClickException) as refused:
        check(*arguments)
    return refused.value.format_message()


def test_without_any_setting_the_agent_on_this_machine_is_asked_whether_it_is_ready(asked: list[Asked]) -> None:
    assert check() == 2

    (one,) = asked
    assert [str(agent.address) for agent in one.agents] == ["http://127.0.0.1:4646"]
    assert one.sources == {Source.HEALTH, Source.SELF}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        pytest.param(["ready"], ["s1", "s2", "c1"], id="all"),
        pytest.param(["--agent", "s2"], ["s2"], id="one"),
        pytest.param(["live", "--agent", "c1", "--agent", "s1"], ["s1", "c1"], id="two, in the order of the file"),
        pytest.param(["--agent", "s1", "--agent", "s1"], ["s1"], id="one twice"),
        pytest.param(["quorum", "--agent", "s2"], ["s1", "s2", "c1"], id="of quorum all are witnesses"),
    ],
)
def test_only_those_are_asked_who_can_tell(
    asked: list[Asked], fleet: str, arguments: list[str], names: list[str]
) -> None:
    check("--config.file", fleet, *arguments)

    assert [agent.name for agent in asked[0].agents] == names


def test_only_those_are_told_who_were_asked_about(
    asked: list[Asked], fleet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check("--config.file", fleet, "quorum", "--agent", "s2")

    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("CRITICAL s2 quorum: ")


def test_an_unknown_agent_is_told_with_those_that_are_known(asked: list[Asked], fleet: str) -> None:
    line = refusal("--config.file", fleet, "--agent", "s9")

    assert line == "--agent: no agent has the name 's9'; known: s1, s2, c1"
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "environment", "timeout"),
    [
        pytest.param([], {}, 4.0, id="default"),
        pytest.param(["--poll.timeout", "3s"], {}, 3.0, id="that of one attempt"),
        pytest.param(["--poll.timeout", "3s", "--timeout", "2s"], {}, 2.0, id="its own"),
        pytest.param(["--timeout", "30s"], {}, 30.0, id="longer than any attempt of an exporter"),
        pytest.param([], {"NOMAD_EXPORTER_POLL_TIMEOUT": "1s"}, 1.0, id="a variable"),
        pytest.param([], {"NOMAD_EXPORTER_POLL_HEALTH_INTERVAL": "2s"}, 4.0, id="an interval means nothing"),
    ],
)
def test_the_time_out_is_that_of_the_exporter_unless_it_is_told(
    asked: list[Asked],
    arguments: list[str],
    environment: dict[str, str],
    timeout: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    check(*arguments)

    assert asked[0].seconds == _seconds(timeout, 0.1)


@pytest.mark.parametrize(
    ("timeout", "spent", "seconds"),
    [
        pytest.param(4.0, 0.15, 3.65, id="the start and the end have their share"),
        pytest.param(60.0, 0.2, 59.6, id="the longest"),
        pytest.param(0.2, 0.15, 0.1, id="half of a short one is for asking"),
        pytest.param(0.01, 5.0, 0.01, id="never nothing"),
    ],
)
def test_the_whole_command_is_over_within_its_time_out(timeout: float, spent: float, seconds: float) -> None:
    assert _seconds(timeout, spent) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["soon", "0s", "61s"])
def test_a_wrong_time_out_is_refused(text: str) -> None:
    assert refusal("--timeout", text).startswith(f"Invalid value for '--timeout': '{text}': ")


def test_autopilot_is_asked_where_that_is_wanted(asked: list[Asked]) -> None:
    check("quorum", "--poll.autopilot")

    assert Source.AUTOPILOT in asked[0].sources


def test_no_is_a_warning_where_that_is_enough(asked: list[Asked], capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--warn", "--nomad.agent-name", "s1") == 1
    assert capsys.readouterr().out.startswith("WARNING s1 ready: unresponsive: ")


@pytest.mark.parametrize(
    "row", [row for row in SETTINGS.values() if row.section in ("web", "log")], ids=lambda row: row.name
)
def test_a_flag_that_means_nothing_here_is_refused(row: Setting) -> None:
    assert refusal(row.flag, "1").startswith(f"No such option '{row.flag}'")


def test_a_setting_that_means_nothing_here_may_stand_in_the_environment(
    asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOMAD_EXPORTER_WEB_LISTEN_ADDRESS", ":1 :2")
    monkeypatch.setenv("NOMAD_EXPORTER_VERDICT_FAILURE_THRESHOLD", "9")

    assert check("live") == 2


def test_the_help_tells_the_settings_that_matter_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    check("--help")

    told = capsys.readouterr().out
    assert [
        flag for flag in ("--nomad.address", "--poll.timeout", "--verdict.max-leader-contact") if flag not in told
    ] == []
    assert [
        flag for flag in ("--web.", "--log.", "--poll.interval", "--verdict.failure-threshold") if flag in told
    ] == []


def test_inside_a_task_no_time_is_lost_to_ask_for_a_name(
    asked: list[Asked], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOMAD_UNIX_ADDR", "unix:///secrets/api.sock")
    monkeypatch.setenv("NOMAD_ADDR", "")
    monkeypatch.setattr("nomad_exporter.nomad.naming.node_name", lambda _: pytest.fail("it was asked"))

    check()

    assert capsys.readouterr().err == ""


def test_what_is_ignored_is_told_beside_the_answer(
    asked: list[Asked], fleet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check("--config.file", fleet, "--nomad.address", "http://other")

    told = capsys.readouterr()
    assert told.err == "nomad-exporter: --nomad.address is ignored: the file lists the agents\n"
    assert len(told.out.splitlines()) == 3
