"""The exporter as users run it: the command, in a process of its own."""

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
    """A running exporter; ``log`` grows as it writes."""

    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    url: str = ""
    _grown: threading.Condition = field(default_factory=threading.Condition)

    def get(self, path: str, **kwargs: object) -> requests.Response:
        return requests.get(self.url + path, timeout=PATIENCE, **kwargs)  # type: ignore[arg-type]  # passed on

    def wait_for_line(self, pattern: str) -> str:
        """The first line of the log that ``pattern`` is found in, waited for."""
        with self._grown:
            found = self._grown.wait_for(lambda: next(filter(re.compile(pattern).search, self.log), None), PATIENCE)
        assert found, f"no line with {pattern!r} in: {self.log}"
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._grown:
                self.log.append(line.rstrip("\n"))
                self._grown.notify_all()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without the caller's own settings of Nomad and the exporter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    return {**kept, **(extra or {})}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nomad_exporter", *arguments]


@contextlib.contextmanager
def running(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Exporter]:
    """An exporter that serves on a free port of loopback; ends with the block."""
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
    """The command, run to its end."""
    return subprocess.run(
        command(*arguments), env=environment(env), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
