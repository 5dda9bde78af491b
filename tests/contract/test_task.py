"""In a Nomad task: without settings, the exporter monitors the agent of the task's node."""

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

INTERVALS = {"NOMAD_EXPORTER_POLL_INTERVAL": "200ms", "NOMAD_EXPORTER_POLL_HEALTH_INTERVAL": "200ms"}


class UnixAgent(RecordedAgent):
    """A recorded agent that also listens on a Unix socket, as a Nomad agent does for the tasks of its node."""

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
        """The tokens of all requests; empty for a request without a token."""
        return {headers.get("x-nomad-token", "") for _, headers in self.requests}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Return the secrets directory of the task, with the token that Nomad renews."""
    (tmp_path / "nomad_token").write_text("renewed-1")
    return tmp_path


@pytest.fixture
def agent(secrets: Path) -> Iterator[UnixAgent]:
    with UnixAgent("2.0.5/healthy/c1-client", secrets / "api.sock") as agent:
        yield agent


@pytest.fixture
def task(secrets: Path) -> dict[str, str]:
    """Return the environment of a task."""
    return {
        "NOMAD_UNIX_ADDR": f"unix://{secrets}/api.sock",
        "NOMAD_SECRETS_DIR": str(secrets),
        "NOMAD_TOKEN": "fixed",
        **INTERVALS,
    }


def test_agent_of_the_node_is_monitored_by_its_name(agent: UnixAgent, task: dict[str, str]) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line("agent is up.*agent=c1")
        page = exporter.get("/metrics").text
        health = exporter.get("/health")

    assert (
        f'nomad_exporter_agent_info{{agent="c1",nomad_cluster="default",address="{task["NOMAD_UNIX_ADDR"]}"}} 1' in page
    )
    assert health.status_code == 200


def test_renewed_token_takes_precedence_over_the_variable(
    agent: UnixAgent, task: dict[str, str], secrets: Path
) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line("agent is up")
        before = agent.tokens
        (secrets / "nomad_token").write_text("renewed-2")
        eventually(lambda: "renewed-2" in agent.tokens)

    assert before == {"renewed-1"}
    assert agent.tokens == {"renewed-1", "renewed-2"}


def test_variable_is_used_without_a_renewed_token(agent: UnixAgent, task: dict[str, str], secrets: Path) -> None:
    (secrets / "nomad_token").unlink()
    with running(env=task) as exporter:
        exporter.wait_for_line("agent is up")

    assert agent.tokens == {"fixed"}


def test_configured_token_file_takes_precedence(agent: UnixAgent, task: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "other").write_text("of-the-other-file")
    with running("--nomad.token-file", str(tmp_path / "other"), env=task) as exporter:
        exporter.wait_for_line("agent is up")

    assert agent.tokens == {"of-the-other-file"}


def test_configured_agent_name_takes_precedence(agent: UnixAgent, task: dict[str, str]) -> None:
    with running("--nomad.agent-name", "n1", env=task) as exporter:
        exporter.wait_for_line("agent is up.*agent=n1")


def test_host_name_is_used_if_the_agent_does_not_respond(task: dict[str, str]) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line(f"poll failed.*agent={socket.gethostname()}")
        exporter.wait_for_line("level=warn .*did not report its node name")


def test_agent_name_is_kept_at_a_reload(agent: UnixAgent, task: dict[str, str]) -> None:
    with running(env=task) as exporter:
        exporter.wait_for_line("agent is up.*agent=c1")
        agent.play("2.0.5/never-registered/c9-client")
        assert exporter.get("/-/healthy").status_code == 200
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_line("reloaded")
        page = exporter.get("/metrics").text

    assert 'nomad_exporter_agent_info{agent="c1"' in page
    assert 'agent="c9"' not in page


@pytest.mark.parametrize("setting", ["NOMAD_ADDR", "NOMAD_EXPORTER_NOMAD_ADDRESS", "--nomad.address"])
def test_configured_address_takes_precedence_over_the_socket(
    agent: UnixAgent, task: dict[str, str], setting: str
) -> None:
    with RecordedAgent("2.0.5/healthy/s1-follower") as other:
        arguments = (setting, other.url) if setting.startswith("--") else ()
        variables = {} if setting.startswith("--") else {setting: other.url}
        with running(*arguments, env={**task, **variables}) as exporter:
            exporter.wait_for_line(f"agent is up.*agent={socket.gethostname()}")

    assert agent.requests == []
    assert {headers["x-nomad-token"] for _, headers in other.requests} == {"fixed"}


def test_empty_address_is_ignored(agent: UnixAgent, task: dict[str, str]) -> None:
    with running(env={**task, "NOMAD_ADDR": ""}) as exporter:
        exporter.wait_for_line("agent is up.*agent=c1")


def test_config_check_reports_the_node_name(agent: UnixAgent, task: dict[str, str]) -> None:
    ended = run("--config.check", env=task)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "monitoring c1 at unix://" in ended.stdout


def test_token_file_in_the_working_directory_is_ignored(
    agent: UnixAgent, task: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(nomad_exporter.__file__).parent.parent))
    with running(env={**task, "NOMAD_SECRETS_DIR": ""}) as exporter:
        exporter.wait_for_line("agent is up")

    assert agent.tokens == {"fixed"}
