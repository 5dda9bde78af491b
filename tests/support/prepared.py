"""Simulated clusters that are prepared once: each test has a copy, which takes less than a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import cache, wraps
from types import CellType, FunctionType
from typing import Any, ParamSpec

from nomad_sim.model.agent_log import AgentLog
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.event_queue import EventQueue
from nomad_sim.model.rng import draw_from

P = ParamSpec("P")


def prepared(build: Callable[P, Cluster]) -> Callable[P, Cluster]:
    """Return a function that runs ``build`` once for each set of arguments, and returns a copy of its cluster."""
    original = cache(build)

    @wraps(build)
    def copy_of(*args: P.args, **kwargs: P.kwargs) -> Cluster:
        return copied(original(*args, **kwargs))  # type: ignore[arg-type]  # setups and numbers are hashable

    return copy_of


def copied(cluster: Cluster) -> Cluster:
    """Return a cluster in the same state; the events and the randomness of one do not affect the other."""
    new, world = copy(cluster), copy(cluster.world)  # All other state is immutable.
    new.world = world
    world.rng = copy(world.rng)
    world.draw = draw_from(world.rng)
    world.logs = {name: _copied_log(log) for name, log in world.logs.items()}
    world.events = EventQueue()
    replaced = {id(cluster): new, id(cluster.world): world}
    for at, _, callback in sorted(cluster.world.events._events, key=lambda event: event[:2]):
        world.events.schedule(at, _rebound(callback, replaced))
    return new


def _copied_log(log: AgentLog) -> AgentLog:
    new = copy(log)
    new._lines = log._lines.copy()
    return new


def _rebound(value: Any, replaced: Mapping[int, object]) -> Any:
    """Return ``value``, or what replaces it; a callback refers to what replaces the objects in its closure."""
    if isinstance(value, FunctionType):
        cells = tuple(CellType(_rebound(cell.cell_contents, replaced)) for cell in value.__closure__ or ())
        return FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    return replaced.get(id(value), value)
