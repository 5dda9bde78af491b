"""Profiles of hypothesis: ``ci`` runs everything, ``dev`` a tenth of the examples and a quarter of long tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from hypothesis import HealthCheck, settings

T = TypeVar("T")

EXAMPLES = {"dev": 10, "ci": 100}


def register() -> None:
    """Register the profiles and load ``dev``; ``--hypothesis-profile ci`` loads the other."""
    for name, count in EXAMPLES.items():
        # A busy machine is no failure.
        settings.register_profile(name, max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("dev")


def scaled(examples: int) -> int:
    """Return the share of ``examples`` that the loaded profile runs, for tests whose number is not the usual 100."""
    return max(1, examples * settings().max_examples // EXAMPLES["ci"])


def share(cases: Iterable[T]) -> list[T]:
    """Return all ``cases`` of a long test in the profile ``ci``, else every fourth."""
    return [*cases][:: 1 if settings().max_examples == EXAMPLES["ci"] else 4]
