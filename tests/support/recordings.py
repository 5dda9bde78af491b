"""Recorded responses of real agents, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "recordings"

FILES = {
    "/v1/agent/self": "self.json",
    "/v1/agent/members": "members.json",
    "/v1/agent/health": "health.json",
    "/v1/agent/health?stale": "health-stale.json",
    "/v1/operator/autopilot/health": "operator-autopilot-health.json",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded response. ``status`` is None if the agent sent none within the timeout of the recorder."""

    status: int | None
    body: bytes
    content_type: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Situation:
    """A recorded agent in one situation, such as ``2.0.5/no-leader/s3-follower``, and its responses by path."""

    name: str
    answers: Mapping[str, Recorded]

    def answer(self, path: str) -> Recorded:
        """Return the response to ``path``; without a recording, a timeout of a frozen agent, otherwise a 404."""
        frozen = all(recorded.status is None for recorded in self.answers.values())
        return self.answers.get(path) or Recorded(None if frozen else 404, b"", None, 0.0)


def situations() -> tuple[Situation, ...]:
    """Return every recorded agent in every situation, sorted by name."""
    folders = sorted({path.parent for path in FOLDER.rglob("*.json")})
    return tuple(situation(str(folder.relative_to(FOLDER))) for folder in folders)


@cache
def situation(name: str) -> Situation:
    """Return the recorded agent ``name``, with only the responses that were recorded.

    Health without a recording for ``?stale`` has the same response for both.
    """
    answers = {path: _read(FOLDER / name / file) for path, file in FILES.items() if (FOLDER / name / file).exists()}
    if "/v1/agent/health" in answers:
        answers.setdefault("/v1/agent/health?stale", answers["/v1/agent/health"])
    return Situation(name, answers)


def _read(path: Path) -> Recorded:
    recording: dict[str, Any] = json.loads(path.read_text())
    body = json.dumps(recording["json"]) if "json" in recording else recording.get("text", "")
    content_type = recording.get("headers", {}).get("Content-Type")
    return Recorded(recording.get("status"), body.encode(), content_type, recording["seconds"])
