"""The golden pages: what must be shown of every recorded agent. ``python -m tests.regenerate`` writes them anew."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from nomad_exporter.metrics.exposition import Format
from tests.support.pages import page_of
from tests.support.recordings import Situation, situations
from tests.support.replay import AT, MAX_AGE, replay

GOLDEN = Path(__file__).parent / "golden"

_LEFT_OUT = re.compile("#|nomad_exporter_poll_(duration|lateness|last_success_timestamp)_seconds")
"""Headers, which are the same on all pages, and what tells of the time that the asking took."""


def golden(situation: Situation) -> str:
    """The sample lines of the page of a recorded agent."""
    shown = page_of(replay({situation.name.rpartition("/")[2]: situation}), AT, MAX_AGE, Format.TEXT).decode()
    return "".join(line for line in shown.splitlines(keepends=True) if not _LEFT_OUT.match(line))


def path(situation: Situation) -> Path:
    """Where the golden page of a recorded agent is kept."""
    return GOLDEN / f"{situation.name}.txt"


def main() -> None:
    """Writes the golden page of every recorded agent and removes those without a recording."""
    pages = {path(situation): golden(situation) for situation in situations()}
    for stray in set(GOLDEN.rglob("*.txt")) - pages.keys():
        stray.unlink()
    for place, text in pages.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    sys.stdout.write(f"{len(pages)} golden pages are written.\n")


if __name__ == "__main__":
    main()
