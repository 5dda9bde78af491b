"""The HTTP server, in a process of its own because only a main thread handles signals."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from tests.support.waiting import PATIENCE

PROGRAM = """
import asyncio, sys
from nomad_exporter.server.listen import Listen, listen
from nomad_exporter.server.protocol import Protocol
from nomad_exporter.server.uvicorn import serve

class QuickProtocol(Protocol):
    header_seconds = 0.2

async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    if scope["path"] == "/endless":
        await asyncio.Event().wait()
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": scope["method"].encode()})

sockets = [listen(Listen("127.0.0.1", 0)), listen(Listen(path=sys.argv[1]))]
print(sockets[0].getsockname()[1], flush=True)
serve(
    application,
    sockets,
    on_start=lambda: None,
    every_second=lambda: print("a second passed", flush=True),
    on_hangup=lambda: print("hangup", flush=True),
    protocol=QuickProtocol,
)
print("served", flush=True)
"""


@dataclass
class RunningServer:
    """A running ``PROGRAM``: its output, and the path and the port on which it listens."""

    process: subprocess.Popen[str]
    output: IO[str]
    path: str
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def is_stopping(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) != 0

    def wait(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and the last line of output."""
        last = self.output.read().splitlines()[-1]
        return self.process.wait(PATIENCE), last


@contextlib.contextmanager
def running_server(path: str) -> Iterator[RunningServer]:
    """Run a server that has responded once, so that its signal handlers are installed, within the block."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        running = RunningServer(process, process.stdout, path, int(process.stdout.readline()))
        body(running.connect())
        yield running
        process.kill()


def body(connection: http.client.HTTPConnection) -> bytes:
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()
