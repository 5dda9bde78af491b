"""Inside a task of Nomad's: with no setting at all the exporter watches the agent of the task's own node."""

from __future__ import annotations

import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nomad_exporter
from tests.support.agents import RecordedAgent
from tests.support.exporter import run, running
from tests.support.waiting import eventually

CADENCE = {"NOMAD_EXPORTER_POLL_INTERVAL": "200ms", "NOMAD_EXPORTER_POLL_HEALTH_INTERVAL": "200ms"}


class UnixAgent(RecordedAgent):
    """A recorded agent that listens on a Unix socket too, as a Nomad agent does for the tasks of its node."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        handler: Any = self._server.RequestHandlerClass
        self._unix = socketserver.ThreadingUnixStreamServer(str(path), handler)
        self._unix.daemon_threads = True
        self._unix_thread = threading.Thread(target=self._unix.serve_forever, args=(0.01,))

    def __enter__(self) -> UnixAgent:
        super().__enter__()
        self._unix_thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._unix.shutdown()
        self._unix_thread.join()
        self._unix.server_close()

    @property
    def tokens(self) -> set[str]:
        """The tokens that it was sent; an empty one where a question came without."""
        return {headers.get("x-nomad-token", "") for _, headers in self.asked}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of the task's secrets, with the token that Nomad renews."""
    (tmp_path / "nomad_token").write_text("renewed-1")
    return tmp_path


@pytest.fixture
def agent(secrets: Path) -> Iterator[UnixAgent]:
    with UnixAgent("2.0.5/healthy/c1-client", secrets / "api.sock") as agent:
        yield agent


@pytest.fixture
def task(secrets: Path) -> dict[str, str]:
    """The environment of a task."""
    return {
        "NOMAD_UNIX_ADDR": f"unix://{secrets}/api.sock",
        "NOMAD_SECRETS_DIR": str(secrets),
        "NOMAD_TOKEN": "fixed",
        **CADENCE,
    }


def test_the_agent_of_the_node_is_watched_under_the_name_of_the_node(agent: UnixAgent, task: dict[str, str]) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line("agent answers.*agent=c1")
        page = exporter.get("/metrics").text
        health = exporter.get("/health")

    assert (
        f'nomad_exporter_agent_info{{agent="c1",nomad_cluster="default",address="{task["NOMAD_UNIX_ADDR"]}"}} 1' in page
    )
    assert health.status_code == 200


def test_the_renewed_token_wins_over_the_fixed_one(agent: UnixAgent, task: dict[str, str], secrets: Path) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line("agent answers")
        before = agent.tokens
        (secrets / "nomad_token").write_text("renewed-2")
        eventually(lambda: "renewed-2" in agent.tokens)

    assert before == {"renewed-1"}
    assert agent.tokens == {"renewed-1", "renewed-2"}


def test_without_a_renewed_token_the_fixed_one_is_sent(agent: UnixAgent, task: dict[str, str], secrets: Path) -> None:
    (secrets / "nomad_token").unlink()
    with running(env=task) as exporter:
        exporter.wait_for_line("agent answers")

    assert agent.tokens == {"fixed"}


def test_a_token_file_that_is_told_wins_over_the_renewed_token(
    agent: UnixAgent, task: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "other").write_text("of-the-other-file")
    with running("--nomad.token-file", str(tmp_path / "other"), env=task) as exporter:
        exporter.wait_for_line("agent answers")

    assert agent.tokens == {"of-the-other-file"}


def test_a_name_that_is_told_wins_over_that_of_the_node(agent: UnixAgent, task: dict[str, str]) -> None:
    with running("--nomad.agent-name", "n1", env=task) as exporter:
        exporter.wait_for_line("agent answers.*agent=n1")


def test_where_the_agent_does_not_tell_its_name_the_machine_has_to_do(task: dict[str, str]) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line(f"poll failed.*agent={socket.gethostname()}")
        exporter.wait_for_line("level=warn .*does not tell the name of its node")


def test_the_name_stays_though_the_agent_takes_another_and_the_settings_are_read_again(
    agent: UnixAgent, task: dict[str, str]
) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line("agent answers.*agent=c1")
        agent.play("2.0.5/never-registered/c9-client")
        assert exporter.get("/-/healthy").status_code == 200
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_line("reloaded")
        page = exporter.get("/metrics").text

    assert 'nomad_exporter_agent_info{agent="c1"' in page
    assert 'agent="c9"' not in page


@pytest.mark.parametrize("given", ["NOMAD_ADDR", "NOMAD_EXPORTER_NOMAD_ADDRESS", "--nomad.address"])
def test_an_address_that_is_told_wins_over_the_socket_of_the_task_and_leaves_the_name_of_the_node_aside(
    agent: UnixAgent, task: dict[str, str], given: str
) -> None:
    with RecordedAgent("2.0.5/healthy/s1-follower") as other:
        arguments = (given, other.url) if given.startswith("--") else ()
        variables = {} if given.startswith("--") else {given: other.url}
        with running(*arguments, env={**task, **variables}) as exporter:
            exporter.wait_for_line(f"agent answers.*agent={socket.gethostname()}")

    assert agent.asked == []
    assert {headers["x-nomad-token"] for _, headers in other.asked} == {"fixed"}


def test_an_empty_address_is_none(agent: UnixAgent, task: dict[str, str]) -> None:
    with running(env={**task, "NOMAD_ADDR": ""}) as exporter:
        exporter.wait_for_line("agent answers.*agent=c1")


def test_the_check_of_the_settings_names_the_node_too(agent: UnixAgent, task: dict[str, str]) -> None:
    ended = run("--config.check", env=task)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "watching c1 at unix://" in ended.stdout


def test_a_file_that_happens_to_lie_where_the_exporter_starts_is_no_token(
    agent: UnixAgent, task: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(nomad_exporter.__file__).parent.parent))
    with running(env={**task, "NOMAD_SECRETS_DIR": ""}) as exporter:
        exporter.wait_for_line("agent answers")

    assert agent.tokens == {"fixed"}
