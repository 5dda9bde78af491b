"""A fleet from a file and its reload: equal agents go on, others come and go, and a broken file changes nothing."""

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


class Transition(RecordedAgent):
    """A recorded agent that knows how many connections its questions came by, and the tokens in them."""

    def __init__(self, name: str = SERVER) -> None:
        super().__init__(name)
        self.connections: set[Any] = set()
        self.tokens: list[str] = []

    def __enter__(self) -> Transition:
        super().__enter__()
        return self

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        self.connections.add(handler.client_address)
        self.tokens.append(handler.headers.get("X-Nomad-Token", ""))
        super().respond(handler)


@pytest.fixture
def agents() -> Iterator[dict[str, Transition]]:
    """Three agents by the names that a file gives to them."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Transition()) for name in ("s1", "s2", "s3")}


class Fleet:
    """A configuration file, with one agent in a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self, agents: Mapping[str, RecordedAgent], *, interval: str = "300ms", more: str = "", **keys: Any
    ) -> None:
        """The file lists ``agents``, each with ``keys``; ``more`` stands at its end."""
        lines = [json.dumps({"name": name, "address": agent.url, **keys}) for name, agent in agents.items()]
        text = "".join(f"- {line}\n" for line in lines)
        self.path.write_text(f"poll: {{interval: {interval}, health_interval: {interval}}}\nagents:\n{text}{more}")


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "fleet.yml")


@contextlib.contextmanager
def watching(fleet: Fleet, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Exporter]:
    """An exporter with that file, once it serves."""
    with running("--config.file", str(fleet.path), *arguments, env=env) as exporter:
        assert exporter.get("/-/healthy").status_code == 200
        yield exporter


def lines(exporter: Exporter, pattern: str) -> list[str]:
    return [line for line in exporter.log if re.search(pattern, line)]


def series(exporter: Exporter, name: str) -> list[str]:
    """The lines of the page that begin with ``name``."""
    return [line for line in exporter.get("/metrics").text.splitlines() if line.startswith(name)]


def count(line: str) -> float:
    """The number at the end of a line of the page."""
    return float(line.split()[-1])


def value(exporter: Exporter, name: str) -> float:
    (line,) = series(exporter, f"{name} ")
    return count(line)


def polls(exporter: Exporter, agent: str) -> float:
    """How often the agent was asked for itself; zero where it is not on the page."""
    found = series(exporter, f'nomad_exporter_polls_total{{agent="{agent}",nomad_cluster="default",source="self"}}')
    return count(found[0]) if found else 0.0


def known(exporter: Exporter, agent: str) -> list[str]:
    """What the agent told, as the page shows it."""
    page = exporter.get("/metrics").text.splitlines()
    return [
        line
        for line in page
        if line.startswith("nomad_") and not line.startswith("nomad_exporter_") and f'agent="{agent}"' in line
    ]


def shown(exporter: Exporter) -> list[str]:
    """The agents of the page, in its order."""
    return re.findall(r'nomad_exporter_agent_info\{agent="([^"]+)"', exporter.get("/metrics").text)


Reload = Callable[[Exporter], None]


def hang_up(exporter: Exporter) -> None:
    """Reloads by SIGHUP, and waits until that is said."""
    before = len(lines(exporter, "msg=reloaded|reload failed"))
    exporter.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(lines(exporter, "msg=reloaded|reload failed")) > before)


def post(exporter: Exporter) -> requests.Response:
    return requests.post(f"{exporter.url}/-/reload", timeout=PATIENCE)


def ask_for_it(exporter: Exporter) -> None:
    """Reloads by a POST."""
    assert post(exporter).status_code == 200


@pytest.fixture(params=[hang_up, ask_for_it], ids=["by SIGHUP", "by POST"])
def reload(request: pytest.FixtureRequest) -> Reload:
    way: Reload = request.param
    return way


def test_an_equal_agent_keeps_its_connections_its_counts_and_what_is_known_of_it(
    fleet: Fleet, agents: dict[str, Transition], reload: Reload
) -> None:
    fleet.write(agents, interval="500ms")
    with watching(fleet, "--web.enable-lifecycle") as exporter:
        eventually(lambda: known(exporter, "s1"))
        for number in range(4):
            before, told = polls(exporter, "s1"), len(known(exporter, "s1"))
            order = dict(reversed(agents.items())) if number % 2 else {"s1": agents["s1"]}
            fleet.write(order, interval="500ms")
            reload(exporter)
            assert polls(exporter, "s1") >= before
            assert len(known(exporter, "s1")) >= told > 0
        eventually(lambda: polls(exporter, "s1") > before)
        failures = sum(map(count, series(exporter, 'nomad_exporter_poll_failures_total{agent="s1"')))

    assert 1 <= len(agents["s1"].connections) <= 2 + failures  # One for each round; a failure costs one.


def test_an_agent_that_is_left_out_is_gone_from_the_page_and_is_asked_no_more(
    fleet: Fleet, agents: dict[str, Transition], reload: Reload
) -> None:
    fleet.write(agents, interval="100ms")
    with watching(fleet, "--web.enable-lifecycle") as exporter:
        eventually(lambda: all(polls(exporter, name) for name in agents))
        fleet.write({"s1": agents["s1"]}, interval="100ms")
        reload(exporter)
        page = exporter.get("/metrics").text
        assert exporter.get("/health?agent=s2").status_code == 404
        before = polls(exporter, "s1")
        eventually(lambda: polls(exporter, "s1") >= before + 2)
        asked = len(agents["s2"].asked)
        eventually(lambda: polls(exporter, "s1") >= before + 5)

    assert 'agent="s1"' in page
    assert 'agent="s2"' not in page
    assert 'agent="s3"' not in page
    assert len(agents["s2"].asked) == asked


def test_an_agent_that_is_added_is_on_the_page_at_once_and_is_asked(
    fleet: Fleet, agents: dict[str, Transition], reload: Reload
) -> None:
    fleet.write({"s2": agents["s2"]})
    with watching(fleet, "--web.enable-lifecycle") as exporter:
        fleet.write(agents)
        reload(exporter)
        assert shown(exporter) == ["s1", "s2", "s3"]
        eventually(lambda: all(known(exporter, name) for name in agents))


def test_an_agent_of_another_address_begins_anew(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write({"s1": agents["s1"]}, interval="60s")
    with watching(fleet) as exporter:
        eventually(lambda: polls(exporter, "s1"))
        fleet.write({"s1": agents["s2"]}, interval="60s")
        hang_up(exporter)
        eventually(lambda: known(exporter, "s1"))

        assert agents["s2"].asked
        assert polls(exporter, "s1") == 1
        assert len(series(exporter, "nomad_exporter_agent_info")) == 1
        assert agents["s2"].url in series(exporter, "nomad_exporter_agent_info")[0]


def test_the_cluster_and_the_labels_of_an_agent_are_beside_it(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write({"s1": agents["s1"]}, cluster="east", labels={"rack": 'a "b" \\c'})
    with watching(fleet) as exporter:
        (line,) = series(exporter, "nomad_exporter_agent_info")

    assert 'cluster="east"' in line
    assert r'rack="a \"b\" \\c"' in line


# A broken file.


BROKEN = [
    ("polls: {}", r":4: polls: unknown key"),
    ("poll: {}", r":4: poll: is given twice"),
    ("- {name: s1, address: http://a}", r":4: agents\[1\]\.name: another agent is called s1"),
    ("web: [", r":5: expected"),
]
"""What stands at the end of a broken file, and what is said of it."""


def test_a_broken_file_changes_nothing_and_one_line_says_why(fleet: Fleet, agents: dict[str, Transition]) -> None:
    metric = "nomad_exporter_config_last_reload_"
    one = {"s1": agents["s1"]}
    fleet.write(one)
    with watching(fleet) as exporter:
        eventually(lambda: known(exporter, "s1"))
        read_at = value(exporter, f"{metric}success_timestamp_seconds")
        assert value(exporter, f"{metric}successful") == 1.0

        for more, _ in BROKEN:
            fleet.write(one, more=f"{more}\n")
            hang_up(exporter)
            assert value(exporter, f"{metric}successful") == 0.0
            assert value(exporter, f"{metric}success_timestamp_seconds") == read_at
            assert known(exporter, "s1")
        before = polls(exporter, "s1")
        eventually(lambda: polls(exporter, "s1") > before)

        fleet.write(one)
        hang_up(exporter)
        assert value(exporter, f"{metric}successful") == 1.0
        assert value(exporter, f"{metric}success_timestamp_seconds") > read_at

    for line, (_, fault) in zip(lines(exporter, "level=error"), BROKEN, strict=True):
        assert re.search(rf'msg="reload failed, nothing has changed" error="{fleet.path}{fault}', line)


@pytest.mark.parametrize(("more", "fault"), BROKEN)
def test_a_start_with_a_broken_file_ends_with_one_line(
    fleet: Fleet, agents: dict[str, Transition], more: str, fault: str
) -> None:
    fleet.write({"s1": agents["s1"]}, more=f"{more}\n")
    ended = run("--config.file", str(fleet.path))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"nomad-exporter: {fleet.path}{fault}.*\n", ended.stderr)


def test_a_file_that_is_gone_changes_nothing(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents)
    with watching(fleet) as exporter:
        fleet.path.unlink()
        hang_up(exporter)
        assert shown(exporter) == ["s1", "s2", "s3"]

    (line,) = lines(exporter, "level=error")
    assert f'error="{fleet.path}: No such file or directory"' in line


# By POST.


def test_a_reload_by_post_says_that_it_is_done(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents)
    with watching(fleet, "--web.enable-lifecycle") as exporter:
        answer = post(exporter)

        assert (answer.status_code, answer.text.strip()) == (200, "reloaded")
        assert exporter.get("/-/reload").status_code == 405


def test_a_reload_by_post_of_a_broken_file_says_why(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents)
    with watching(fleet, "--web.enable-lifecycle") as exporter:
        fleet.write(agents, more="webb: {}\n")
        answer = post(exporter)

        assert answer.status_code == 500
        assert answer.text.startswith(f"nothing has changed: {fleet.path}:6: webb: unknown key")
        assert shown(exporter) == ["s1", "s2", "s3"]


def test_a_reload_by_post_is_not_allowed_unless_it_is_enabled(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write({"s1": agents["s1"]})
    with watching(fleet) as exporter:
        fleet.write(agents)
        answer = post(exporter)

        assert answer.status_code == 403
        assert shown(exporter) == ["s1"]
    assert not lines(exporter, "reload")


def test_a_reload_can_allow_and_forbid_the_next_one(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents)
    with watching(fleet) as exporter:
        fleet.write(agents, more="web: {enable_lifecycle: true}\n")
        hang_up(exporter)
        fleet.write(agents)

        assert [post(exporter).status_code for _ in range(2)] == [200, 403]


# What needs a restart, and what does not count.


@contextlib.contextmanager
def serving_as_the_file_says(fleet: Fleet) -> Iterator[Exporter]:
    """An exporter that is told nothing but its file."""
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


def test_another_listen_address_is_said_to_need_a_restart(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents, more="web: {listen_address: ['127.0.0.1:0']}\n")
    with serving_as_the_file_says(fleet) as exporter:
        exporter.url = "http://" + exporter.wait_for_line("started").rpartition("serving=")[2].strip('"')
        assert exporter.get("/-/healthy").status_code == 200
        fleet.write(agents, more="web: {listen_address: ['127.0.0.1:0', '127.0.0.1:1']}\n")
        hang_up(exporter)
        assert shown(exporter) == ["s1", "s2", "s3"]

    (line,) = lines(exporter, "restart")
    assert 'level=warn msg="this setting needs a restart" setting=--web.listen-address' in line


def test_another_log_level_is_said_to_need_a_restart(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents)
    with watching(fleet) as exporter:
        fleet.write(agents, more="log: {level: debug}\n")
        hang_up(exporter)

    (line,) = lines(exporter, "restart")
    assert 'level=warn msg="this setting needs a restart" setting=--log.level' in line


def test_what_is_said_of_one_agent_beside_a_file_of_agents_is_warned_of_and_reaches_none(
    fleet: Fleet, agents: dict[str, Transition]
) -> None:
    watched = {name: agents[name] for name in ("s1", "s2")}
    given = {
        "NOMAD_ADDR": agents["s3"].url.replace("://", "://user:s3cret@"),
        "NOMAD_TOKEN": "s3cret",
        "NOMAD_HTTP_AUTH": "user:s3cret",
    }
    fleet.write(watched)
    with watching(fleet, env=given) as exporter:
        eventually(lambda: all(polls(exporter, agent) >= 2 for agent in watched))

    warnings = [f'level=warn msg="{name} is ignored: the file lists the agents"' for name in given]
    assert [line.partition(" ")[2] for line in lines(exporter, "ignored")] == warnings
    assert agents["s3"].asked == []
    for agent in watched.values():
        assert {*agent.tokens} == {""}
        assert not any("authorization" in headers for _, headers in agent.asked)
    assert "s3cret" not in "".join(exporter.log)


# Tokens.


def test_each_of_fifty_agents_sees_only_its_own_token_through_reloads_and_rotations(tmp_path: Path) -> None:
    """Half of them have their token in a file; some come and go, and two change their addresses with each other."""
    with contextlib.ExitStack() as stack:
        fifty = [stack.enter_context(Transition()) for _ in range(50)]
        path = tmp_path / "fleet.yml"
        allowed: list[set[str]] = [set() for _ in fifty]

        def tell(round_: int, left_out: range = range(0)) -> None:
            """Gives every agent a new token: the odd ones by their file, the even ones by a changed configuration."""
            entries: list[dict[str, Any]] = []
            for number, agent in enumerate(fifty):
                token = f"token-of-{number}-{round_}"
                allowed[number].add(token)
                (tmp_path / f"token-{number}").write_text(f"{token}\n")
                own = {"token_file": f"token-{number}"} if number % 2 else {"token": token}
                entries.append({"name": f"a{number}", "address": agent.url, **own})
            entries[2]["name"], entries[4]["name"] = ("a2", "a4") if round_ % 2 else ("a4", "a2")
            kept = [entry for number, entry in enumerate(entries) if number not in left_out]
            poll = {"interval": "1s", "health_interval": "1s"}
            path.write_text(json.dumps({"agents": kept, "poll": poll, "defaults": {"token": "shared"}}))

        def seen(round_: int, left_out: range = range(0)) -> bool:
            return all(
                f"token-of-{number}-{round_}" in agent.tokens
                for number, agent in enumerate(fifty)
                if number not in left_out
            )

        tell(0)
        with running("--config.file", str(path), env={"NOMAD_TOKEN": "of-the-environment"}) as exporter:
            eventually(lambda: seen(0))
            for round_, left_out in zip(itertools.count(1), (range(10), range(20, 30), range(0))):
                tell(round_, left_out)
                hang_up(exporter)
                eventually(partial(seen, round_, left_out))

    for number, agent in enumerate(fifty):
        assert {*agent.tokens} <= allowed[number], number


def test_a_hang_up_before_it_serves_waits_until_it_does(fleet: Fleet, agents: dict[str, Transition]) -> None:
    fleet.write(agents)
    with running("--config.file", str(fleet.path)) as exporter:
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_line("msg=reloaded")

        assert exporter.process.poll() is None
