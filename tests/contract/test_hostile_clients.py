"""Hostile clients of one exporter: each gets its status, and none delays another client or fills the memory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.exporter import Exporter, running
from tests.support.hostile_clients import CLIENTS
from tests.support.waiting import eventually

pytestmark = pytest.mark.alone

MAX_SECONDS = 1.0
"""Maximum time of another client's request meanwhile; 200,000 equal headers took thirteen."""

MAX_MEBIBYTES = 150
"""Maximum memory of the process at any time; it has about 45 MiB without hostile clients."""


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with running("--nomad.address", "http://127.0.0.1:1") as started:
        yield started


def address_of(exporter: Exporter) -> tuple[str, int]:
    url = urlsplit(exporter.url)
    return str(url.hostname), int(url.port or 0)


def descriptors(exporter: Exporter) -> int:
    return len(list(Path("/proc", str(exporter.process.pid), "fd").iterdir()))


@pytest.mark.parametrize("name", CLIENTS)
def test_hostile_client_gets_its_status(exporter: Exporter, name: str) -> None:
    assert CLIENTS[name].run(address_of(exporter)) == CLIENTS[name].status


def test_hostile_clients_delay_no_other_client(exporter: Exporter) -> None:
    before, slowest = descriptors(exporter), 0.0
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        running_clients = [pool.submit(client.run, address_of(exporter)) for client in CLIENTS.values()]
        while not all(client.done() for client in running_clients):
            began = time.monotonic()
            assert exporter.get("/-/healthy").status_code == 200
            slowest = max(slowest, time.monotonic() - began)

    assert slowest < MAX_SECONDS
    eventually(lambda: descriptors(exporter) <= before)


def test_peak_of_memory_is_limited(exporter: Exporter) -> None:
    status = Path("/proc", str(exporter.process.pid), "status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)

    assert peak
    assert int(peak[1]) / 1024 < MAX_MEBIBYTES


def test_log_has_no_error(exporter: Exporter) -> None:
    assert not [line for line in exporter.log if "level=error" in line and "not live" not in line]
