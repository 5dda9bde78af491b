"""Budgets: how many new values of one agent are admitted in a time. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from nomad_exporter.clock import Instant

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Budget(Generic[K]):
    """The distinct values that were admitted in the period since ``began``: at most ``limit`` in ``seconds``.

    A value that returns within a period counts once.
    """

    limit: int
    seconds: float
    began: Instant | None = None
    admitted: frozenset[K] = frozenset()

    def admit(self, values: Collection[K], now: Instant) -> Budget[K]:
        """Return the budget with ``values`` admitted, the first ones first, as far as the limit allows."""
        is_over = self.began is None or now.since(self.began) >= self.seconds
        current = replace(self, began=now, admitted=frozenset()) if is_over else self
        room = current.limit - len(current.admitted)
        if room <= 0 or current.admitted.issuperset(values):
            return current
        new = dict.fromkeys(value for value in values if value not in current.admitted)
        return replace(current, admitted=current.admitted.union(list(new)[:room]))
