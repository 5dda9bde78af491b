"""The programs that run beside the cluster: the exporter, and optionally Prometheus."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nomad_sim.go import join_host_port
from nomad_sim.layout import exporter_name
from nomad_sim.options import Options
from nomad_sim.setup import Setup

EXPORTER = "nomad-exporter"

STOP_SECONDS = 5.0
"""Timeout for a program to exit before it is killed."""

SMALL_FLEET = 20
"""The maximum number of agents that are polled at the chosen interval."""

LARGE_FLEET_INTERVAL = 5.0
"""The minimum poll interval of more agents, in seconds."""

VERDICT_GRACE = 10.0
"""The exporter's limits for late heartbeats and for the last contact with the leader, in seconds of Nomad's time."""

READY_POLL_SECONDS = 0.05
"""Seconds between two checks whether a program is ready."""


class ProcessExited(Exception):
    """An unexpected exit of a program, with its exit code ``code``."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} exited with code {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """The exporter's credentials for the agents: paths of files, empty if unused."""

    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run beside the cluster, which is ready when ``/-/ready`` on ``port`` returns 200."""

    name: str
    command: tuple[str, ...]
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{join_host_port(self.host, self.port)}"


def exporter_program(options: Options, setups: Sequence[Setup], credentials: Credentials, folder: Path) -> Program:
    """Return an exporter that monitors all agents; write its configuration to ``folder``."""
    file = write_exporter_config(options, setups, credentials, folder)
    listen_address = join_host_port(options.host, options.exporter_port)
    command = (sys.executable, "-m", "nomad_exporter", "--config.file", str(file), "--log.level", "error")
    return Program(EXPORTER, (*command, "--web.listen-address", listen_address), options.host, options.exporter_port)


def write_exporter_config(options: Options, setups: Sequence[Setup], credentials: Credentials, folder: Path) -> Path:
    """Write the configuration of the exporter and return the path of the file."""
    file = exporter_config_file(folder)
    file.write_text(json.dumps(_exporter_config(options, setups, credentials), indent=2))
    return file


def exporter_config_file(folder: Path) -> Path:
    """Return the path of the exporter's configuration."""
    return folder / "nomad-exporter.yml"


def prometheus_program(options: Options, folder: Path) -> Program:
    """Return a Prometheus that scrapes the exporter and keeps its configuration and data in ``folder``."""
    file = folder / "prometheus.yml"
    target = join_host_port(options.host, options.exporter_port)
    job = {"job_name": "nomad", "static_configs": [{"targets": [target]}]}
    file.write_text(json.dumps({"global": {"scrape_interval": "2s"}, "scrape_configs": [job]}, indent=2))
    command = (
        shutil.which("prometheus") or "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={join_host_port(options.host, options.prometheus_port)}",
        "--log.level=error",
    )
    return Program("prometheus", command, options.host, options.prometheus_port)


def _exporter_config(options: Options, setups: Sequence[Setup], credentials: Credentials) -> dict[str, object]:
    """Return the content of the exporter's configuration, which is written as JSON because JSON is YAML."""
    agents = [
        {
            "name": exporter_name(setup, options.regions > 1),
            "address": setup.url,
            "cluster": setup.region,
            "role": "server" if setup.server else "client",
            "region": setup.region,
        }
        for setup in setups
    ]
    interval = options.interval if options.agents <= SMALL_FLEET else max(options.interval, LARGE_FLEET_INTERVAL)
    grace = f"{VERDICT_GRACE / options.pace:g}s"
    return {
        "defaults": {name: value for name, value in asdict(credentials).items() if value},
        "agents": agents,
        "poll": {"interval": f"{interval:g}s", "health_interval": f"{options.interval:g}s"},
        "verdict": {"heartbeat_grace": grace, "max_leader_contact": grace},
    }


class Process:
    """A running program."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self._program = program
        self._process = process

    async def wait_until_ready(self) -> None:
        """Return when the program is ready. Raises ProcessExited if it exits before."""
        while not await self._is_ready():
            if self._process.returncode is not None:
                raise ProcessExited(self._program.name, self._process.returncode)
            await asyncio.sleep(READY_POLL_SECONDS)

    async def wait_for_exit(self) -> None:
        """Raise ProcessExited when the program exits."""
        raise ProcessExited(self._program.name, await self._process.wait())

    def reload(self) -> None:
        """Send SIGHUP, so that the program reloads its configuration."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Terminate the program, and kill it after ``STOP_SECONDS``."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self._program.host, self._program.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /-/ready HTTP/1.0\r\nHost: demo\r\n\r\n")
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()


async def start_process(program: Program) -> Process:
    """Start a program, without the user's ``NOMAD_*`` variables, which would configure the exporter."""
    # In its own session, the program does not receive Ctrl-C, so that the demo stops everything in order.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    process = await asyncio.create_subprocess_exec(
        *program.command, stdin=asyncio.subprocess.DEVNULL, env=environment, start_new_session=True
    )
    return Process(program, process)
