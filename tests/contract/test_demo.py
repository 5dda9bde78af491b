"""The demo as a process: one command starts a cluster and an exporter, and leaves no files."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from tests.support.agents import free_port
from tests.support.demo import FREE_PORTS, running_demo
from tests.support.exporter import command, environment, run
from tests.support.waiting import PATIENCE, eventually

OTHER_PORTS = ("--port", "20000", "--control-port", "20001", "--exporter-port", "20002", "--prometheus-port", "20003")
"""Ports that are not checked before certificates are issued, unlike free ports."""


def page(url: str) -> dict[str, float]:
    """Return the values of the exporter's metrics by series."""
    lines = requests.get(f"{url}/metrics", timeout=PATIENCE).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {series: float(value) for series, value in pairs}


def series(family: str, agent: str, cluster: str = "global") -> str:
    """Return the series of an agent in a family without other labels."""
    return f'nomad_agent_{family}{{agent="{agent}",nomad_cluster="{cluster}"}}'


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_exporter_shows_cluster_with_leader() -> None:
    with running_demo() as demo:
        samples = page(demo.exporter)

    assert [samples[series("up", name)] for name in ("s1", "s2", "s3", "c1", "c2")] == [1] * 5
    assert sum(samples[series("leader", name)] for name in ("s1", "s2", "s3")) == 1
    assert samples[series("client_registered", "c1")] == 1
    assert [name for name in samples if name.startswith('nomad_agent_info{agent="c2",') and 'member="c2"' in name]


def test_commands_of_banner_work() -> None:
    with running_demo() as demo:
        queried = subprocess.run(
            shlex.split(demo.banner_value("query an agent")), capture_output=True, check=True, timeout=PATIENCE
        )
        killed = subprocess.run(
            shlex.split(demo.banner_value("kill an agent")), capture_output=True, check=True, timeout=PATIENCE
        )
        health = demo.get(demo.banner_value("health"))

    assert b'"stats"' in queried.stdout
    assert b"dead" in killed.stdout
    assert health.status_code in (200, 503)


def test_killed_leader_is_down_and_another_is_elected() -> None:
    with running_demo("--pace", "5") as demo:
        first = next(name for name, fields in demo.agents().items() if fields[0] == "leader")
        demo.do(first, "kill")
        monitored = first.partition(".")[0]
        eventually(lambda: page(demo.exporter)[series("up", monitored)] == 0)
        eventually(lambda: [n for n, fields in demo.agents().items() if fields[:2] == ["leader", "running"]])
        demo.do(first, "start")
        eventually(lambda: page(demo.exporter)[series("up", monitored)] == 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_demo_and_exporter_and_removes_files(number: signal.Signals, tmp_path: Path) -> None:
    with running_demo(env={"TMPDIR": str(tmp_path)}) as demo:
        files = list(tmp_path.iterdir())
        children = Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children").read_text().split()

        assert demo.stop(number) == 0
        assert files
        assert children
        assert not list(tmp_path.iterdir())
        assert not any(Path(f"/proc/{child}").exists() for child in children)
        with pytest.raises(requests.ConnectionError):
            demo.get(demo.exporter)


def test_port_in_use_is_one_line_and_exit_code_2() -> None:
    in_use = "nomad-exporter: port {port} is in use; choose another with {flag} (0 picks a free port)\n"
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = str(used.getsockname()[1])
        for flag in ("--control-port", "--exporter-port"):
            finished = run("demo", *FREE_PORTS, flag, port)

            assert finished.returncode == 2
            assert finished.stderr == in_use.format(port=port, flag=flag)
        finished = run("demo", *FREE_PORTS, "--port", port)

        assert finished.returncode == 2
        assert finished.stderr == in_use.format(port=port, flag="--port")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--version", "3.0"], "'--version': '3.0' is not one of"),
        (["--servers", "0"], "--servers must be an integer from 1 to 50 (got 0)"),
        (["--servers", "50", "--regions", "20", "--clients", "20"], "must add up to at most 1000 agents (got 1400)"),
        (["--port", "65000", "--clients", "100"], "--port must leave 10 ports for each of 103 agents (got 65000)"),
        (["--prometheus", "--exporter=false"], "--prometheus requires the exporter (got --exporter=false)"),
        (["--pace", "nan"], "--pace must be a number from 0.1 to 100 (got nan)"),
        (["--host", ""], "--host must not be empty"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        (["--host", "my_host", "--tls", *OTHER_PORTS], "cannot issue a certificate for my_host: not a host name"),
        (["--exporter", "perhaps"], "'--exporter': 'perhaps' is not a valid boolean"),
    ],
)
def test_invalid_option_is_one_line_and_exit_code_2(arguments: list[str], line: str) -> None:
    finished = run("demo", *FREE_PORTS, *arguments)

    assert finished.returncode == 2
    assert line in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_missing_prometheus_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    finished = run("demo", *FREE_PORTS, "--prometheus", env={"PATH": str(tmp_path)})

    assert finished.returncode == 2
    assert finished.stderr == "nomad-exporter: --prometheus requires prometheus on the PATH\n"


def test_demo_runs_without_exporter() -> None:
    with running_demo("--exporter=false", "--servers", "1", "--clients", "0") as demo:
        assert "status page" not in demo.banner
        assert demo.agents().keys() == {"s1.global"}


def test_exit_of_exporter_stops_demo() -> None:
    with running_demo() as demo:
        (child,) = Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        rest, _ = demo.process.communicate(timeout=PATIENCE)

    assert "nomad-exporter exited with code -9" in rest
    assert demo.process.returncode == 1


@pytest.mark.parametrize("version", ["2.0", "1.10", "1.6", "1.2", "0.12"])
def test_every_version_is_monitored_with_acls_and_mtls(version: str) -> None:
    arguments = (
        "--version",
        version,
        "--acl",
        "--verify-https-client",
        "--regions",
        "2",
        "--servers",
        "1",
        "--clients",
        "1",
    )
    with running_demo(*arguments) as demo:
        samples = page(demo.exporter)

    regions = {"s1.east": "east", "s1.west": "west", "c1": "east", "c2": "west"}
    assert [samples[series("up", name, region)] for name, region in regions.items()] == [1] * 4
    assert samples[series("known_regions", "s1.east", "east")] == 2


def test_faults_are_refused_in_wrong_state() -> None:
    with running_demo("--exporter=false") as demo:
        assert demo.do("s2.global", "pause").status_code == 200
        assert demo.do("s2.global", "pause").status_code == 409
        assert demo.agents()["s2.global"][1] == "paused"
        assert demo.do("s2.global", "resume").status_code == 200
        assert demo.do("c1", "leave").text == "leave requires a server (c1 is a client)\n"
        assert demo.do("c1", "partition").status_code == 200
        assert demo.agents()["c1"][1:3] == ["running,", "partitioned"]
        assert demo.do("c1", "heal").status_code == 200
        assert demo.do("nobody", "kill").status_code == 404
        assert demo.do("s1.global", "dance").status_code == 404
        assert demo.get(f"{demo.control}/s1.global/kill").status_code == 405


def test_agent_does_not_start_if_port_is_in_use() -> None:
    with running_demo("--exporter=false") as demo:
        demo.do("s1.global", "kill")
        port = int(demo.agents()["s1.global"][2].rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            refused = demo.do("s1.global", "start")

            assert refused.status_code == 409
            assert refused.text == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
        assert demo.agents()["s1.global"][1] == "dead"
        assert demo.do("s1.global", "start").status_code == 200


def test_demo_runs_with_closed_standard_streams() -> None:
    port = free_port()
    fields = command("demo", "--port", "0", "--control-port", str(port), "--exporter=false")
    closed = subprocess.Popen(["/bin/sh", "-c", f"exec {shlex.join(fields)} <&- >&- 2>&-"], env=environment())
    try:
        eventually(lambda: is_listening(port))
        closed.terminate()

        assert closed.wait(PATIENCE) == 0
    finally:
        closed.kill()


def test_help_of_exporter_lists_demo() -> None:
    result = subprocess.run(command("--help"), env=environment(), capture_output=True, text=True, check=True)

    assert re.search("demo +Run a simulated cluster[.]", result.stdout)
