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

from tests.support.real import real
from tests.support.waiting import PATIENCE, eventually

SCRAPE_INTERVAL = "250ms"

Setting = tuple[str | float, ...]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    log: Path
    targets: int

    def query(self, promql: str, *labels: str) -> list[Setting]:
        """The rows of an instant query, sorted: the values of ``labels`` in each, and its number."""
        told = requests.get(f"{self.url}/api/v1/query", {"query": promql}, timeout=PATIENCE).json()
        assert told["status"] == "success", told
        found: list[dict[str, Any]] = told["data"]["result"]
        return sorted((*(row["metric"].get(label, "") for label in labels), float(row["value"][1])) for row in found)

    def wait_for_scrapes(self, number: int) -> None:
        """Returns once each target was scraped ``number`` times."""
        eventually(lambda: len(self.query(f"count_over_time(up[1h]) >= {number}")) == self.targets)

    def complaints(self) -> list[str]:
        """The lines of its log that tell of a scrape, sample or anything else that went wrong."""
        return [line for line in self.log.read_text().splitlines() if re.search(r"level=(warn|error)|\berr=", line)]

    def dropped_samples(self) -> Mapping[str, float]:
        """How many samples it did not take, by the name of its own counter for the reason."""
        page = requests.get(f"{self.url}/metrics", timeout=PATIENCE).text
        found = re.findall(r"^(prometheus_target_scrapes_sample_\w+_total) (\S+)$", page, re.MULTILINE)
        return {name: float(number) for name, number in found}


@contextlib.contextmanager
def scraping(urls: Iterable[str], folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that keeps its files in ``folder`` and scrapes what serves at ``urls``; ends with the block."""
    targets = [urlsplit(url).netloc for url in urls]
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL},
        "scrape_configs": [{"job_name": "nomad", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML too.
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [
                real("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--log.level=debug",
                "--scrape.discovery-reload-interval=100ms",  # It would look for its targets after five seconds only.
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
