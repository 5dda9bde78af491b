"""The answers that real agents were recorded with, as values."""

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
    """One answer: ``status`` is None where none came before the one who asked gave up."""

    status: int | None
    body: bytes
    content_type: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Situation:
    """One agent in one situation, such as ``2.0.5/no-leader/s3-follower``, and its answers by path."""

    name: str
    answers: Mapping[str, Recorded]

    def answer(self, path: str) -> Recorded:
        """The answer to ``path``; where it was not asked, none of a frozen agent, else what an unknown path gets."""
        frozen = all(told.status is None for told in self.answers.values())
        return self.answers.get(path) or Recorded(None if frozen else 404, b"", None, 0.0)


def situations() -> tuple[Situation, ...]:
    """Every recorded agent in every situation, by name."""
    folders = sorted({path.parent for path in FOLDER.rglob("*.json")})
    return tuple(situation(str(folder.relative_to(FOLDER))) for folder in folders)


@cache
def situation(name: str) -> Situation:
    """The recorded agent ``name``. What was not asked is left out; without ``?stale`` health was asked only plainly."""
    answers = {path: _read(FOLDER / name / file) for path, file in FILES.items() if (FOLDER / name / file).exists()}
    if "/v1/agent/health" in answers:
        answers.setdefault("/v1/agent/health?stale", answers["/v1/agent/health"])
    return Situation(name, answers)


def _read(path: Path) -> Recorded:
    told: dict[str, Any] = json.loads(path.read_text())
    body = json.dumps(told["json"]) if "json" in told else told.get("text", "")
    return Recorded(told.get("status"), body.encode(), told.get("headers", {}).get("Content-Type"), told["seconds"])
