"""Golden pages: the expected samples of every recorded agent. ``python -m tests.regenerate`` rewrites them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from nomad_exporter.metrics.exposition import Format
from tests.support.pages import page_of
from tests.support.recordings import Situation, situations
from tests.support.replay import AT, MAX_AGE, replay

GOLDEN = Path(__file__).parent / "golden"

_OMITTED = re.compile("#|nomad_exporter_poll_(duration|lateness|last_success_timestamp)_seconds")
"""Headers, which are the same on all pages, and samples that depend on how long the polls took."""


def golden(situation: Situation) -> str:
    """Return the sample lines of the page of a recorded agent."""
    page = page_of(replay({situation.name.rpartition("/")[2]: situation}), AT, MAX_AGE, Format.TEXT).decode()
    return "".join(line for line in page.splitlines(keepends=True) if not _OMITTED.match(line))


def path(situation: Situation) -> Path:
    """Return the path of the golden page of a recorded agent."""
    return GOLDEN / f"{situation.name}.txt"


def main() -> None:
    """Write the golden page of every recorded agent, and remove golden pages without a recording."""
    pages = {path(situation): golden(situation) for situation in situations()}
    for stray in set(GOLDEN.rglob("*.txt")) - pages.keys():
        stray.unlink()
    for file, text in pages.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    sys.stdout.write(f"{len(pages)} golden pages written.\n")


if __name__ == "__main__":
    main()
