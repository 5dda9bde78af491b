"""Profiles of hypothesis: ``ci`` runs everything, ``dev`` a part of the examples and of the long tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from hypothesis import HealthCheck, settings

T = TypeVar("T")

EXAMPLES = {"dev": 10, "ci": 40}


def register() -> None:
    """Register the profiles and load ``dev``; ``--hypothesis-profile ci`` loads the other."""
    for name, count in EXAMPLES.items():
        # A busy machine is no failure.
        settings.register_profile(name, max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("dev")


def scaled(examples: int) -> int:
    """Return the share of ``examples`` that the loaded profile runs, for tests with a number of their own."""
    return examples if _is_ci() else max(1, examples // 10)


def share(cases: Iterable[T]) -> list[T]:
    """Return all ``cases`` of a long test in the profile ``ci``, else every fourth."""
    return [*cases][:: 1 if _is_ci() else 4]


def _is_ci() -> bool:
    return settings().max_examples == EXAMPLES["ci"]
