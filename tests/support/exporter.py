"""The exporter as users run it: the command in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import requests

from tests.support.waiting import PATIENCE


@dataclass
class Exporter:
    """A running exporter; ``log`` has the lines that it has logged so far."""

    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    url: str = ""
    _grown: threading.Condition = field(default_factory=threading.Condition)

    def get(self, path: str, **kwargs: object) -> requests.Response:
        return requests.get(self.url + path, timeout=PATIENCE, **kwargs)  # type: ignore[arg-type]  # any arguments of get

    def wait_for_line(self, pattern: str) -> str:
        """Return the first line of the log that matches ``pattern``; wait until there is one."""
        with self._grown:
            found = self._grown.wait_for(lambda: next(filter(re.compile(pattern).search, self.log), None), PATIENCE)
        assert found, f"no line with {pattern!r} in: {self.log}"
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def read_log(self) -> None:
        """Append the lines of the process to ``log`` until the process closes its output."""
        assert self.process.stderr
        for line in self.process.stderr:
            with self._grown:
                self.log.append(line.rstrip("\n"))
                self._grown.notify_all()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without variables of Nomad and the exporter, and with ``extra``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    return {**inherited, **(extra or {})}


def command(*arguments: str) -> list[str]:
    """Return the command line of the exporter with these arguments."""
    return [sys.executable, "-m", "nomad_exporter", *arguments]


@contextlib.contextmanager
def running(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Exporter]:
    """Run an exporter on a free port of loopback within the block."""
    process = subprocess.Popen(
        command("--web.listen-address", "127.0.0.1:0", *arguments),
        env=environment(env),
        stderr=subprocess.PIPE,
        text=True,
    )
    exporter = Exporter(process)
    reader = threading.Thread(target=exporter.read_log)
    reader.start()
    try:
        serving = re.search(r"serving\W+([\d.]+:\d+)", exporter.wait_for_line("started"))
        assert serving
        exporter.url = f"http://{serving[1]}"
        yield exporter
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reader.join()
        if process.stderr:
            process.stderr.close()


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and return its exit code and output."""
    return subprocess.run(
        command(*arguments), env=environment(env), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
