"""The programs that run beside the cluster: the exporter, and Prometheus where it is asked for."""

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
"""How long a program may take to end before it is killed."""

SMALL_FLEET = 20
"""So many agents are asked about everything as often as was chosen, more of them less often."""

LARGE_FLEET_INTERVAL = 5.0
"""Seconds between two polls of many agents, at least."""

VERDICT_GRACE = 10.0
"""How long, in Nomad's own time, the exporter bears a late heartbeat or a leader that was not heard."""

READY_POLL_SECONDS = 0.05
"""Seconds between two looks at whether a program answers."""


class ProcessExited(Exception):
    """A program ended of itself; it has said why. ``code`` is its exit code."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} ended with exit code {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the exporter shows to the agents: the paths of the files, empty where there is none."""

    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run beside the cluster. It is there when ``/-/ready`` answers on ``port``."""

    name: str
    command: tuple[str, ...]
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{join_host_port(self.host, self.port)}"


def exporter_program(options: Options, setups: Sequence[Setup], credentials: Credentials, folder: Path) -> Program:
    """The exporter that watches all agents; its configuration is written into ``folder``."""
    file = write_exporter_config(options, setups, credentials, folder)
    listen_address = join_host_port(options.host, options.exporter_port)
    command = (sys.executable, "-m", "nomad_exporter", "--config.file", str(file), "--log.level", "error")
    return Program(EXPORTER, (*command, "--web.listen-address", listen_address), options.host, options.exporter_port)


def write_exporter_config(options: Options, setups: Sequence[Setup], credentials: Credentials, folder: Path) -> Path:
    """Writes the configuration of the exporter, anew where there is one; gives its file."""
    file = exporter_config_file(folder)
    file.write_text(json.dumps(_exporter_config(options, setups, credentials), indent=2))
    return file


def exporter_config_file(folder: Path) -> Path:
    """The file that the exporter reads."""
    return folder / "nomad-exporter.yml"


def prometheus_program(options: Options, folder: Path) -> Program:
    """A Prometheus that scrapes the exporter; its data stay in ``folder``."""
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
    """JSON is YAML, too."""
    agents = [
        {
            "name": exporter_name(setup, options.regions > 1),
            "address": setup.url,
            "cluster": setup.region,
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
    """A program that runs."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self._program = program
        self._process = process

    async def wait_until_ready(self) -> None:
        """Returns as soon as it answers. Raises ProcessExited where it ends before."""
        while not await self._is_ready():
            if self._process.returncode is not None:
                raise ProcessExited(self._program.name, self._process.returncode)
            await asyncio.sleep(READY_POLL_SECONDS)

    async def wait_for_exit(self) -> None:
        """Raises ProcessExited when it has ended."""
        raise ProcessExited(self._program.name, await self._process.wait())

    def reload(self) -> None:
        """Has it read its configuration again."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Ends it, in good order if it will."""
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
    """Starts a program, without the user's own settings of Nomad and the exporter.

    It has a session of its own, so that Ctrl-C reaches the demo alone, which ends all in order.
    """
    settings = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    process = await asyncio.create_subprocess_exec(
        *program.command, stdin=asyncio.subprocess.DEVNULL, env=settings, start_new_session=True
    )
    return Process(program, process)
