"""The demo as users run it: the command in its own process, on free ports of the loopback interface."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import requests

from tests.support.exporter import command, environment
from tests.support.waiting import PATIENCE

FREE_PORTS = ("--port", "0", "--control-port", "0", "--exporter-port", "0", "--prometheus-port", "0")


RETRIES = 2
"""Restarts of a demo that exits at once, because another process may take a port that was free."""


@dataclass
class Demo:
    """A running demo and its banner."""

    process: subprocess.Popen[str]
    banner: str

    def banner_value(self, name: str) -> str:
        """Return the value of a row of the banner."""
        found = re.search(rf"^  {re.escape(name)} +(.+)$", self.banner, re.MULTILINE)
        assert found, f"no row {name!r} in: {self.banner}"
        return found[1]

    @property
    def exporter(self) -> str:
        return self.banner_value("status page").rstrip("/")

    @property
    def control(self) -> str:
        return self.banner_value("control page").rstrip("/")

    @property
    def config_file(self) -> str:
        """The path of the exporter's configuration."""
        return self.banner_value("check quorum").split()[3]

    def get(self, url: str) -> requests.Response:
        return requests.get(url, timeout=PATIENCE)

    def response_seconds(self) -> float:
        """Return how long the simulator takes to respond."""
        return self.get(self.control).elapsed.total_seconds()

    def agents(self) -> dict[str, list[str]]:
        """Return the fields of each agent on the control page by name: role, state and URL."""
        lines = self.get(self.control).text.partition("\n\n")[0].splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines}

    def do(self, name: str, fault: str) -> requests.Response:
        return requests.post(f"{self.control}/{name}/{fault}", timeout=PATIENCE)

    def run_incident(self, path: str) -> requests.Response:
        """Run an incident, ``leader-killed``, or one of its steps, ``leader-killed/2``."""
        return self.do("incidents", path)

    def roles(self) -> dict[str, str]:
        """Return the agent of each role in the incident that began last."""
        page = self.get(f"{self.control}/incidents").text
        roles = re.search(r"^  roles: (.+)$", page, re.MULTILINE)
        assert roles, f"no roles in: {page}"
        pairs = [part.partition(" ") for part in roles[1].split(", ")]
        return {role: name for role, _, name in pairs}

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running_demo(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """Run a demo until the end of the block; the demo is ready at its start."""
    demo = _start(arguments, env)
    for _ in range(RETRIES):
        if demo.process.poll() is None:
            break
        demo = _start(arguments, env)
    try:
        assert demo.process.poll() is None, f"the demo exited: {demo.banner}"
        yield demo
    finally:
        _stop(demo.process)


def _start(arguments: Sequence[str], env: Mapping[str, str] | None) -> Demo:
    """Start a demo; return it when it has printed its banner or has exited."""
    demo_environment = environment(env)
    process = subprocess.Popen(
        command("demo", *FREE_PORTS, *arguments), env=demo_environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    else:
        _stop(process)
    return Demo(process, "".join(lines))


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    process.terminate()
    process.wait(PATIENCE)
    process.stdout.close()
