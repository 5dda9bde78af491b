"""Golden pages: the samples of one recorded agent of each kind and version; ``make golden`` rewrites them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from nomad_exporter.metrics.family import Format
from tests.support.pages import page_of
from tests.support.recordings import Situation, situations
from tests.support.replay import AT, MAX_AGE, replay

GOLDEN = Path(__file__).parent / "golden"

AGENTS = (
    "0.5.5-documented/single/bacon-mac",
    *(
        f"1.2.16/{agent}"
        for agent in ("healthy/s2-leader", "healthy/s1-follower", "healthy/c1-client", "acl/anonymous")
    ),
    *(
        f"1.6.10/{agent}"
        for agent in ("healthy/s3-leader", "healthy/s1-follower", "healthy/c1-client", "acl/anonymous")
    ),
    *(
        f"1.10.5/{agent}"
        for agent in ("healthy/s3-leader", "healthy/s1-follower", "healthy/c1-client", "acl/anonymous")
    ),
    *(f"2.0.5/{agent}" for agent in ("healthy/s2-leader", "healthy/s1-follower", "healthy/c1-client", "acl/anonymous")),
)
"""Recorded agents with a golden page. The pages of all others are checked against their JSON alone."""

_OMITTED = re.compile("#|nomad_exporter_poll_(duration|lateness|last_success_timestamp)_seconds")
"""Headers, which are the same on all pages, and samples that depend on how long the polls took."""


def golden(situation: Situation) -> str:
    """Return the sample lines of the page of a recorded agent."""
    page = page_of(replay({situation.name.rpartition("/")[2]: situation}), AT, MAX_AGE, Format.TEXT).decode()
    return "".join(line for line in page.splitlines(keepends=True) if not _OMITTED.match(line))


def path(situation: Situation) -> Path:
    """Return the path of the golden page of a recorded agent."""
    return GOLDEN / f"{situation.name}.txt"


def golden_situations() -> list[Situation]:
    """Return the recorded agents with a golden page."""
    return [situation for situation in situations() if situation.name in AGENTS]


def main() -> None:
    """Write the golden pages, and remove all others."""
    pages = {path(situation): golden(situation) for situation in golden_situations()}
    for stray in set(GOLDEN.rglob("*.txt")) - pages.keys():
        stray.unlink()
    for file, text in pages.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    sys.stdout.write(f"{len(pages)} golden pages written.\n")


if __name__ == "__main__":
    main()
