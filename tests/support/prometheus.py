"""A real Prometheus that scrapes exporters on loopback."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.support.real_tools import require_tool
from tests.support.waiting import PATIENCE, eventually

SCRAPE_INTERVAL = "250ms"

Row = tuple[str | float, ...]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    log: Path
    targets: int

    def query(self, promql: str, *labels: str) -> list[Row]:
        """Return the rows of an instant query, sorted; each row has the values of ``labels`` and the sample value."""
        response = requests.get(f"{self.url}/api/v1/query", {"query": promql}, timeout=PATIENCE).json()
        assert response["status"] == "success", response
        result: list[dict[str, Any]] = response["data"]["result"]
        return sorted((*(row["metric"].get(label, "") for label in labels), float(row["value"][1])) for row in result)

    def wait_for_scrapes(self, number: int) -> None:
        """Wait until each target has been scraped ``number`` times."""
        eventually(lambda: len(self.query(f"count_over_time(up[1h]) >= {number}")) == self.targets)

    def log_problems(self) -> list[str]:
        """Return the warnings and errors in its log."""
        return [line for line in self.log.read_text().splitlines() if re.search(r"level=(warn|error)|\berr=", line)]

    def dropped_samples(self) -> Mapping[str, float]:
        """Return the number of rejected samples by the name of the counter, one counter for each cause."""
        page = requests.get(f"{self.url}/metrics", timeout=PATIENCE).text
        found = re.findall(r"^(prometheus_target_scrapes_sample_\w+_total) (\S+)$", page, re.MULTILINE)
        return {name: float(number) for name, number in found}


@contextlib.contextmanager
def scraping(urls: Iterable[str], folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus within the block, with its files in ``folder``, that scrapes the exporters at ``urls``."""
    targets = [urlsplit(url).netloc for url in urls]
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL},
        "scrape_configs": [{"job_name": "nomad", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # YAML includes JSON.
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [
                require_tool("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--log.level=debug",
                "--scrape.discovery-reload-interval=100ms",  # The default is 5 s.
            ],
            stdout=stderr,
            stderr=stderr,
        )
    try:
        eventually(lambda: process.poll() is not None or "ready to receive web requests" in log.read_text())
        listening = re.search(r'"Listening on" address=(\S+)', log.read_text())
        assert listening, log.read_text()
        yield Prometheus(f"http://{listening[1]}", log, len(targets))
    finally:
        process.terminate()
        process.wait(PATIENCE)
