"""Reloads of a configuration file: unchanged agents are kept, and an invalid file changes nothing."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.agents import RecordedAgent
from tests.support.exporter import Exporter, command, environment, run, running
from tests.support.waiting import PATIENCE, eventually

SERVER = "2.0.5/healthy/s1-follower"


class TrackingAgent(RecordedAgent):
    """A recorded agent that also records the connections and the tokens of its requests."""

    def __init__(self, name: str = SERVER) -> None:
        super().__init__(name)
        self.connections: set[Any] = set()
        self.tokens: list[str] = []

    def __enter__(self) -> TrackingAgent:
        super().__enter__()
        return self

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        self.connections.add(handler.client_address)
        self.tokens.append(handler.headers.get("X-Nomad-Token", ""))
        super().respond(handler)


@pytest.fixture
def agents() -> Iterator[dict[str, TrackingAgent]]:
    """Yield three agents by their names in the configuration file."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(TrackingAgent()) for name in ("s1", "s2", "s3")}


class FleetFile:
    """A configuration file with one agent per line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self, agents: Mapping[str, RecordedAgent], *, interval: str = "300ms", more: str = "", **keys: Any
    ) -> None:
        """Write a file that lists ``agents``, each with ``keys``, and append ``more``."""
        lines = [json.dumps({"name": name, "address": agent.url, **keys}) for name, agent in agents.items()]
        text = "".join(f"- {line}\n" for line in lines)
        self.path.write_text(f"poll: {{interval: {interval}, health_interval: {interval}}}\nagents:\n{text}{more}")


@pytest.fixture
def fleet(tmp_path: Path) -> FleetFile:
    return FleetFile(tmp_path / "fleet.yml")


@contextlib.contextmanager
def running_with(fleet: FleetFile, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Exporter]:
    """Run an exporter with this file within the block; SIGHUP is handled from the start of the block."""
    with running("--config.file", str(fleet.path), *arguments, env=env) as exporter:
        assert exporter.get("/-/healthy").status_code == 200
        yield exporter


def lines(exporter: Exporter, pattern: str) -> list[str]:
    return [line for line in exporter.log if re.search(pattern, line)]


def series(exporter: Exporter, name: str) -> list[str]:
    """Return the lines of the page that begin with ``name``."""
    return [line for line in exporter.get("/metrics").text.splitlines() if line.startswith(name)]


def value_of(line: str) -> float:
    """Return the value of a sample line."""
    return float(line.split()[-1])


def value(exporter: Exporter, name: str) -> float:
    (line,) = series(exporter, f"{name} ")
    return value_of(line)


def polls(exporter: Exporter, agent: str) -> float:
    """Return the number of polls of ``self`` of the agent; zero if the agent is not on the page."""
    found = series(exporter, f'nomad_exporter_polls_total{{agent="{agent}",nomad_cluster="default",source="self"}}')
    return value_of(found[0]) if found else 0.0


def agent_series(exporter: Exporter, agent: str) -> list[str]:
    """Return the sample lines about the agent, except those about its polls."""
    page = exporter.get("/metrics").text.splitlines()
    return [
        line
        for line in page
        if line.startswith("nomad_") and not line.startswith("nomad_exporter_") and f'agent="{agent}"' in line
    ]


def monitored(exporter: Exporter) -> list[str]:
    """Return the names of the monitored agents in the order of the page."""
    return re.findall(r'nomad_exporter_agent_info\{agent="([^"]+)"', exporter.get("/metrics").text)


Reload = Callable[[Exporter], None]


def reload_by_signal(exporter: Exporter) -> None:
    """Reload by SIGHUP, and wait until the log reports the result."""
    before = len(lines(exporter, "msg=reloaded|reload failed"))
    exporter.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(lines(exporter, "msg=reloaded|reload failed")) > before)


def post_reload(exporter: Exporter) -> requests.Response:
    return requests.post(f"{exporter.url}/-/reload", timeout=PATIENCE)


def reload_by_post(exporter: Exporter) -> None:
    """Reload by a POST request."""
    assert post_reload(exporter).status_code == 200


@pytest.fixture(params=[reload_by_signal, reload_by_post], ids=["SIGHUP", "POST"])
def reload(request: pytest.FixtureRequest) -> Reload:
    function: Reload = request.param
    return function


def test_unchanged_agent_keeps_connections_counters_and_values(
    fleet: FleetFile, agents: dict[str, TrackingAgent], reload: Reload
) -> None:
    fleet.write(agents, interval="500ms")
    with running_with(fleet, "--web.enable-lifecycle") as exporter:
        eventually(lambda: agent_series(exporter, "s1"))
        for number in range(4):
            before, series_before = polls(exporter, "s1"), len(agent_series(exporter, "s1"))
            order = dict(reversed(agents.items())) if number % 2 else {"s1": agents["s1"]}
            fleet.write(order, interval="500ms")
            reload(exporter)
            assert polls(exporter, "s1") >= before
            assert len(agent_series(exporter, "s1")) >= series_before > 0
        eventually(lambda: polls(exporter, "s1") > before)
        failures = sum(map(value_of, series(exporter, 'nomad_exporter_poll_failures_total{agent="s1"')))

    assert 1 <= len(agents["s1"].connections) <= 3 + failures  # One for each poll job; a failed poll closes one.


def test_removed_agent_is_not_on_the_page_and_not_polled(
    fleet: FleetFile, agents: dict[str, TrackingAgent], reload: Reload
) -> None:
    fleet.write(agents, interval="100ms")
    with running_with(fleet, "--web.enable-lifecycle") as exporter:
        eventually(lambda: all(polls(exporter, name) for name in agents))
        fleet.write({"s1": agents["s1"]}, interval="100ms")
        reload(exporter)
        page = exporter.get("/metrics").text
        assert exporter.get("/health?agent=s2").status_code == 404
        before = polls(exporter, "s1")
        eventually(lambda: polls(exporter, "s1") >= before + 2)
        requests_before = len(agents["s2"].requests)
        eventually(lambda: polls(exporter, "s1") >= before + 5)

    assert 'agent="s1"' in page
    assert 'agent="s2"' not in page
    assert 'agent="s3"' not in page
    assert len(agents["s2"].requests) == requests_before


def test_added_agent_is_on_the_page_at_once_and_is_polled(
    fleet: FleetFile, agents: dict[str, TrackingAgent], reload: Reload
) -> None:
    fleet.write({"s2": agents["s2"]})
    with running_with(fleet, "--web.enable-lifecycle") as exporter:
        fleet.write(agents)
        reload(exporter)
        assert monitored(exporter) == ["s1", "s2", "s3"]
        eventually(lambda: all(agent_series(exporter, name) for name in agents))


def test_agent_with_another_address_loses_its_values(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write({"s1": agents["s1"]}, interval="60s")
    with running_with(fleet) as exporter:
        eventually(lambda: polls(exporter, "s1"))
        fleet.write({"s1": agents["s2"]}, interval="60s")
        reload_by_signal(exporter)
        eventually(lambda: agents["s2"].requests and polls(exporter, "s1") == 1)

        assert len(series(exporter, "nomad_exporter_agent_info")) == 1
        assert agents["s2"].url in series(exporter, "nomad_exporter_agent_info")[0]


def test_agent_info_has_cluster_and_labels(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write({"s1": agents["s1"]}, cluster="east", labels={"rack": 'a "b" \\c'})
    with running_with(fleet) as exporter:
        (line,) = series(exporter, "nomad_exporter_agent_info")

    assert 'nomad_cluster="east"' in line
    assert r'rack="a \"b\" \\c"' in line


# Invalid files.


INVALID = [
    ("polls: {}", r":4: polls: unknown key"),
    ("poll: {}", r":4: poll: duplicate key"),
    ("- {name: s1, address: http://a}", r":4: agents\[1\]\.name: duplicate agent name s1 "),
    ("web: [", r":5: not valid YAML: expected"),
]
"""The last line of an invalid file, and its error."""


def test_invalid_file_changes_nothing_and_logs_one_line(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    metric = "nomad_exporter_config_last_reload_"
    one = {"s1": agents["s1"]}
    fleet.write(one)
    with running_with(fleet) as exporter:
        eventually(lambda: agent_series(exporter, "s1"))
        loaded_at = value(exporter, f"{metric}success_timestamp_seconds")
        assert value(exporter, f"{metric}successful") == 1.0

        for more, _ in INVALID:
            fleet.write(one, more=f"{more}\n")
            reload_by_signal(exporter)
            assert value(exporter, f"{metric}successful") == 0.0
            assert value(exporter, f"{metric}success_timestamp_seconds") == loaded_at
            assert agent_series(exporter, "s1")
        before = polls(exporter, "s1")
        eventually(lambda: polls(exporter, "s1") > before)

        fleet.write(one)
        reload_by_signal(exporter)
        assert value(exporter, f"{metric}successful") == 1.0
        assert value(exporter, f"{metric}success_timestamp_seconds") > loaded_at

    for line, (_, error) in zip(lines(exporter, "level=error"), INVALID, strict=True):
        assert re.search(rf'msg="reload failed, keeping the current configuration" error="{fleet.path}{error}', line)


@pytest.mark.parametrize(("more", "error"), INVALID)
def test_start_with_an_invalid_file_fails_with_one_line(
    fleet: FleetFile, agents: dict[str, TrackingAgent], more: str, error: str
) -> None:
    fleet.write({"s1": agents["s1"]}, more=f"{more}\n")
    ended = run("--config.file", str(fleet.path))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"nomad-exporter: {fleet.path}{error}.*\n", ended.stderr)


def test_missing_file_changes_nothing(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents)
    with running_with(fleet) as exporter:
        fleet.path.unlink()
        reload_by_signal(exporter)
        assert monitored(exporter) == ["s1", "s2", "s3"]

    (line,) = lines(exporter, "level=error")
    assert f'error="--config.file {fleet.path}: No such file or directory"' in line


# Reloads by POST.


def test_post_reloads_the_file(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents)
    with running_with(fleet, "--web.enable-lifecycle") as exporter:
        response = post_reload(exporter)

        assert (response.status_code, response.text.strip()) == (200, "reloaded")
        assert exporter.get("/-/reload").status_code == 405


def test_post_with_an_invalid_file_is_a_500_with_the_error(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents)
    with running_with(fleet, "--web.enable-lifecycle") as exporter:
        fleet.write(agents, more="webb: {}\n")
        response = post_reload(exporter)

        assert response.status_code == 500
        assert response.text.startswith(f"reload failed, configuration unchanged: {fleet.path}:6: webb: unknown key")
        assert monitored(exporter) == ["s1", "s2", "s3"]


def test_post_is_forbidden_by_default(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write({"s1": agents["s1"]})
    with running_with(fleet) as exporter:
        fleet.write(agents)
        response = post_reload(exporter)

        assert response.status_code == 403
        assert monitored(exporter) == ["s1"]
    assert not lines(exporter, "reload")


def test_reload_can_enable_and_disable_post(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents)
    with running_with(fleet) as exporter:
        fleet.write(agents, more="web: {enable_lifecycle: true}\n")
        reload_by_signal(exporter)
        fleet.write(agents)

        assert [post_reload(exporter).status_code for _ in range(2)] == [200, 403]


# Settings that require a restart, and settings that are ignored.


@contextlib.contextmanager
def running_without_flags(fleet: FleetFile) -> Iterator[Exporter]:
    """Run an exporter with no flag except its configuration file."""
    process = subprocess.Popen(
        command("--config.file", str(fleet.path)), env=environment(), stderr=subprocess.PIPE, text=True
    )
    exporter = Exporter(process)
    reader = threading.Thread(target=exporter.read_log)
    reader.start()
    try:
        yield exporter
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reader.join()
        if process.stderr:
            process.stderr.close()


def test_new_listen_address_requires_a_restart(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents, more="web: {listen_address: ['127.0.0.1:0']}\n")
    with running_without_flags(fleet) as exporter:
        exporter.url = "http://" + exporter.wait_for_line("started").rpartition("serving=")[2].strip('"')
        assert exporter.get("/-/healthy").status_code == 200
        fleet.write(agents, more="web: {listen_address: ['127.0.0.1:0', '127.0.0.1:1']}\n")
        reload_by_signal(exporter)
        assert monitored(exporter) == ["s1", "s2", "s3"]

    (line,) = lines(exporter, "restart")
    assert 'level=warn msg="setting requires a restart" setting=web.listen_address' in line


def test_new_log_level_requires_a_restart(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents)
    with running_with(fleet) as exporter:
        fleet.write(agents, more="log: {level: debug}\n")
        reload_by_signal(exporter)

    (line,) = lines(exporter, "restart")
    assert 'level=warn msg="setting requires a restart" setting=log.level' in line


def test_settings_of_one_agent_are_ignored_with_a_list_of_agents(
    fleet: FleetFile, agents: dict[str, TrackingAgent]
) -> None:
    listed = {name: agents[name] for name in ("s1", "s2")}
    variables = {
        "NOMAD_ADDR": agents["s3"].url.replace("://", "://user:s3cret@"),
        "NOMAD_TOKEN": "s3cret",
        "NOMAD_HTTP_AUTH": "user:s3cret",
    }
    fleet.write(listed)
    with running_with(fleet, env=variables) as exporter:
        eventually(lambda: all(polls(exporter, agent) >= 2 for agent in listed))

    warnings = [f'level=warn msg="{name} is ignored: the configuration file lists agents"' for name in variables]
    assert [line.partition(" ")[2] for line in lines(exporter, "ignored")] == warnings
    assert agents["s3"].requests == []
    for agent in listed.values():
        assert {*agent.tokens} == {""}
        assert not any("authorization" in headers for _, headers in agent.requests)
    assert "s3cret" not in "".join(exporter.log)


# Tokens.


def test_each_of_fifty_agents_gets_only_its_own_tokens(tmp_path: Path) -> None:
    # Half of the agents have a token file. Some agents are removed and added, and two swap their addresses.
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(TrackingAgent()) for _ in range(50)]
        path = tmp_path / "fleet.yml"
        allowed: list[set[str]] = [set() for _ in agents]

        def rotate(round_: int, omitted: range = range(0)) -> None:
            """Write a new token for every agent: to the token file of odd agents, to the configuration of even ones."""
            entries: list[dict[str, Any]] = []
            for number, agent in enumerate(agents):
                token = f"token-of-{number}-{round_}"
                allowed[number].add(token)
                (tmp_path / f"token-{number}").write_text(f"{token}\n")
                setting = {"token_file": f"token-{number}"} if number % 2 else {"token": token}
                entries.append({"name": f"a{number}", "address": agent.url, **setting})
            entries[2]["name"], entries[4]["name"] = ("a2", "a4") if round_ % 2 else ("a4", "a2")
            listed = [entry for number, entry in enumerate(entries) if number not in omitted]
            poll = {"interval": "1s", "health_interval": "1s"}
            path.write_text(json.dumps({"agents": listed, "poll": poll, "defaults": {"token": "shared"}}))

        def is_used(round_: int, omitted: range = range(0)) -> bool:
            return all(
                f"token-of-{number}-{round_}" in agent.tokens
                for number, agent in enumerate(agents)
                if number not in omitted
            )

        rotate(0)
        with running("--config.file", str(path), env={"NOMAD_TOKEN": "of-the-environment"}) as exporter:
            eventually(lambda: is_used(0))
            for round_, omitted in zip(itertools.count(1), (range(10), range(20, 30), range(0))):
                rotate(round_, omitted)
                reload_by_signal(exporter)
                eventually(partial(is_used, round_, omitted))

    for number, agent in enumerate(agents):
        assert {*agent.tokens} <= allowed[number], number


def test_hangup_during_the_start_reloads_after_it(fleet: FleetFile, agents: dict[str, TrackingAgent]) -> None:
    fleet.write(agents)
    with running("--config.file", str(fleet.path)) as exporter:
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_line("msg=reloaded")

        assert exporter.process.poll() is None
