"""Hypothesis profiles: ``ci`` runs all examples, ``dev`` a tenth of them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

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
