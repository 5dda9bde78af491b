"""The programs that run beside the cluster."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nomad_sim import processes
from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import setups
from nomad_sim.options import Options
from nomad_sim.processes import Credentials, ProcessExited, Program
from tests.support.agents import free_port
from tests.support.exporter import run
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow  # Real processes.

OPTIONS = Options(port=20000)

IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(end='', flush=True); time.sleep(60)"
)

WAITS_FOR_SIGHUP = """
import pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
pathlib.Path(sys.argv[1]).touch()
signal.sigwait({signal.SIGHUP})
pathlib.Path(sys.argv[1]).write_text("reloaded")
"""


def test_exporter_configuration_has_all_agents(tmp_path: Path) -> None:
    program = processes.exporter_program(OPTIONS, setups(OPTIONS, None), Credentials(), tmp_path)
    checked = run(*program.command[3:], "--config.check")

    assert checked.returncode == 0
    assert "s1 at http://127.0.0.1:20000" in checked.stdout
    assert "serving on 127.0.0.1:9441" in checked.stdout


def test_credentials_are_passed_as_files(tmp_path: Path) -> None:
    options = Options(port=20000, tls=True)
    token = tmp_path / "token"
    program = processes.exporter_program(
        options, setups(options, CertificateFiles(tmp_path)), Credentials(token_file=str(token)), tmp_path
    )
    file = tmp_path / "nomad-exporter.yml"

    assert str(file) in program.command
    assert f'"token_file": "{token}"' in file.read_text()
    assert '"address": "https://127.0.0.1:20000"' in file.read_text()
    assert "ca_file" not in file.read_text()


def test_prometheus_scrapes_exporter(tmp_path: Path) -> None:
    program = processes.prometheus_program(OPTIONS, tmp_path)

    assert '"127.0.0.1:9441"' in (tmp_path / "prometheus.yml").read_text()
    assert f"--storage.tsdb.path={tmp_path / 'prometheus'}" in program.command


def test_exit_before_ready_raises_exit_code() -> None:
    program = Program("python", (sys.executable, "-c", "raise SystemExit(3)"), "127.0.0.1", free_port())

    async def wait() -> None:
        await (await processes.start_process(program)).wait_until_ready()

    with pytest.raises(ProcessExited, match="python exited with code 3") as exited:
        asyncio.run(wait())
    assert exited.value.code == 3


def test_program_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.1)
    program = Program("python", (sys.executable, "-c", IGNORES_SIGTERM), "127.0.0.1", free_port())

    async def stopped() -> int | None:
        process = await processes.start_process(program)
        await process.stop()
        await process.stop()
        return process._process.returncode

    assert asyncio.run(stopped()) in (-9, -15)


def test_many_agents_are_polled_less_often(tmp_path: Path) -> None:
    def poll(**chosen: Any) -> Any:
        options = replace(OPTIONS, interval=0.2, **chosen)
        file = processes.write_exporter_config(options, setups(options, None), Credentials(), tmp_path)
        return json.loads(file.read_text())["poll"]

    assert poll() == {"interval": "0.2s", "health_interval": "0.2s"}
    assert poll(clients=30) == {"interval": "5s", "health_interval": "0.2s"}


def test_exporter_configuration_has_role_and_region(tmp_path: Path) -> None:
    file = processes.write_exporter_config(OPTIONS, setups(OPTIONS, None), Credentials(), tmp_path)
    agents = json.loads(file.read_text())["agents"]

    assert {(agent["name"][0], agent["role"], agent["region"]) for agent in agents} == {
        ("s", "server", "global"),
        ("c", "client", "global"),
    }


@pytest.mark.parametrize("interval", [0.1, 60.0])
def test_every_interval_is_valid_configuration(interval: float, tmp_path: Path) -> None:
    options = replace(OPTIONS, interval=interval)
    program = processes.exporter_program(options, setups(options, None), Credentials(), tmp_path)

    assert run(*program.command[3:], "--config.check").returncode == 0


def test_reload_sends_sighup_to_running_program(tmp_path: Path) -> None:
    file = tmp_path / "signals"
    program = Program("python", (sys.executable, "-c", WAITS_FOR_SIGHUP, str(file)), "127.0.0.1", free_port())

    async def reloaded() -> str:
        process = await processes.start_process(program)
        while not file.exists():
            await asyncio.sleep(0.01)
        process.reload()
        await process._process.wait()
        process.reload()
        return file.read_text()

    assert asyncio.run(asyncio.wait_for(reloaded(), PATIENCE)) == "reloaded"
