"""The demo as users run it: the command, in a process of its own, on free ports of loopback."""

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
"""So often a demo is started again that ended at once: another one may take a port that it had found to be free."""


@dataclass
class Demo:
    """A running demo, and what it said when it was ready."""

    process: subprocess.Popen[str]
    banner: str

    def banner_value(self, name: str) -> str:
        """What stands behind ``name`` in the greeting."""
        found = re.search(rf"^  {re.escape(name)} +(.+)$", self.banner, re.MULTILINE)
        assert found, f"no line {name!r} in: {self.banner}"
        return found[1]

    @property
    def exporter(self) -> str:
        return self.banner_value("status page").rstrip("/")

    @property
    def control(self) -> str:
        return self.banner_value("all agents").removeprefix("curl ").rstrip("/")

    @property
    def config_file(self) -> str:
        """The configuration of the exporter."""
        return self.banner_value("a check").split()[3]

    def get(self, url: str) -> requests.Response:
        return requests.get(url, timeout=PATIENCE)

    def agents(self) -> dict[str, list[str]]:
        """The words of each agent's line on the demo's own page, by name."""
        lines = self.get(self.control).text.partition("\n\n")[0].splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines}

    def do(self, name: str, fault: str) -> requests.Response:
        return requests.post(f"{self.control}/{name}/{fault}", timeout=PATIENCE)

    def play(self, path: str) -> requests.Response:
        """Plays an incident, ``leader-killed``, or its step, ``leader-killed/2``."""
        return self.do("incidents", path)

    def roles(self) -> dict[str, str]:
        """Who plays which role in the incident that was begun last."""
        page = self.get(f"{self.control}/incidents").text
        roles = re.search(r"^  as (.+)$", page, re.MULTILINE)
        assert roles, f"nobody plays in: {page}"
        pairs = [part.partition(" ") for part in roles[1].split(", ")]
        return {role: name for role, _, name in pairs}

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends the signal; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running_demo(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """A demo that is ready; ends with the block."""
    demo = _start(arguments, env)
    for _ in range(RETRIES):
        if demo.process.poll() is None:
            break
        demo = _start(arguments, env)
    try:
        assert demo.process.poll() is None, f"the demo ended: {demo.banner}"
        yield demo
    finally:
        _stop(demo.process)


def _start(arguments: Sequence[str], env: Mapping[str, str] | None) -> Demo:
    """A demo that has greeted, or has ended."""
    process = subprocess.Popen(
        command("demo", *FREE_PORTS, *arguments), env=environment(env), stdout=subprocess.PIPE, text=True
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
