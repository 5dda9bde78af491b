"""The wiring: which part is given to which, how all starts, and how all stops."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

from nomad_exporter import __version__, clock, logs
from nomad_exporter.config.plan import Cadence, ConfigError, Plan
from nomad_exporter.config.settings import ROWS
from nomad_exporter.metrics.drawing import draw
from nomad_exporter.metrics.ourselves import Ourselves
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import Source
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from nomad_exporter.serving.listen import CannotListen, Listen, listen, raise_file_limit
from nomad_exporter.serving.server import serve
from nomad_exporter.watch.changes import Change
from nomad_exporter.watch.rounds import Rounds
from nomad_exporter.watch.schedule import Schedule, Turn
from nomad_exporter.watch.store import Store
from nomad_exporter.web.asgi import application
from nomad_exporter.web.routes import Site

STOP_SECONDS = 0.5
"""How long the polls that run may take to end once their connections are cut."""

WORKERS = 256
"""The most threads that poll agents which answer in time; they are made as they are needed."""

Replan = Callable[[], Plan | str]
"""Reads the settings again; gives the plan, or in one line why there is none."""

_log = logging.getLogger(__name__)


def run(plan: Plan, replan: Replan) -> int:
    """Watches and serves until SIGTERM or SIGINT; gives the exit code. Raises ConfigError where it cannot listen."""
    logs.set_up(plan.log_level, plan.log_format)
    _prepare_process()
    sockets = _listen(plan.listen)
    exporter = Exporter(plan, replan)
    _tell_start(plan, sockets)
    exporter.start()
    serve(application(lambda: exporter.site, clock.now), sockets, exporter.put_right, exporter.reload)
    _log.info("stopping")
    if not exporter.stop():
        _leave_at_once()
    return 0


class Exporter:
    """All parts, wired: what is watched, when, and the ``site`` that shows it. Only ``reload`` changes the wiring."""

    def __init__(self, plan: Plan, replan: Replan) -> None:
        self._first_plan, self._plan, self._replan = plan, plan, replan
        self._ourselves = Ourselves()
        self._ourselves.reloaded(clock.now())
        self._store = Store(plan.agents, draw)
        self._contexts = Contexts()
        self._transports = {agent.name: Transport(agent, self._contexts) for agent in plan.agents}
        self._rounds = self._rounds_of(plan)
        self._schedule = Schedule(
            self._turns(plan), clock.now, WORKERS, self._store.beat, self._ourselves.missed, self._ourselves.stepped
        )
        self.site = self._site(plan)

    def start(self) -> None:
        """Begins to ask."""
        self._schedule.start()

    def put_right(self) -> None:
        """To be called every second: bears a step of the wall clock."""
        self._schedule.put_right()

    def stop(self) -> bool:
        """Asks no more, and ends what is being asked; gives whether that could be done."""
        self._schedule.stop()
        for transport in self._transports.values():
            transport.close()
        return self._schedule.ended(STOP_SECONDS)

    def reload(self) -> str | None:
        """Reads the settings again and follows them; gives why not, in one line, where they are wrong.

        An agent whose settings are as before keeps its connections, its turn and all that is known of it.
        """
        plan = self._replan()
        if isinstance(plan, str):
            self._ourselves.reloaded(None)
            _log.error("reload failed, nothing has changed", extra={"fields": {"error": plan}})
            return plan
        _tell_what_needs_a_restart(self._first_plan, plan)
        self._follow(plan)
        self._ourselves.reloaded(clock.now())
        _log.info("reloaded", extra={"fields": {"agents": len(plan.agents)}})
        return None

    def _follow(self, plan: Plan) -> None:
        before = {agent.name: agent for agent in self._plan.agents}
        kept = {agent.name: self._transports[agent.name] for agent in plan.agents if before.get(agent.name) == agent}
        gone = [transport for name, transport in self._transports.items() if name not in kept]
        new = {agent.name: Transport(agent, self._contexts) for agent in plan.agents if agent.name not in kept}
        self._store.replace(plan.agents)
        if not plan.limits.autopilot:
            self._store.forget(Source.AUTOPILOT)
        self._plan, self._transports = plan, {**kept, **new}
        self._rounds = self._rounds_of(plan)
        self._schedule.replace(self._turns(plan))
        self.site = self._site(plan)
        self._contexts.keep(agent.tls for agent in plan.agents)
        for transport in gone:
            transport.close()

    def _rounds_of(self, plan: Plan) -> Rounds:
        return Rounds(
            self._store, self._transports, clock.now, plan.cadence.timeout, _tell, autopilot=plan.limits.autopilot
        )

    def _turns(self, plan: Plan) -> list[Turn]:
        return [turn for agent in plan.agents for turn in self._turns_of(agent, plan.cadence)]

    def _turns_of(self, agent: Agent, cadence: Cadence) -> tuple[Turn, Turn]:
        """The turns of one agent; they find the rounds at the moment they come, for a reload can change them."""
        return (
            Turn(f"{agent.name} health", cadence.health_interval, lambda late: self._rounds.health(agent, late), agent),
            Turn(f"{agent.name} facts", cadence.interval, lambda late: self._rounds.facts(agent, late), agent),
        )

    def _site(self, plan: Plan) -> Site:
        reload = self.reload if plan.enable_lifecycle else None
        return Site(self._store, self._ourselves, plan.limits, reload)


def _prepare_process() -> None:
    """Threads take turns every millisecond, so that no probe waits for a poll; and as many files as we may open."""
    sys.setswitchinterval(0.001)
    raise_file_limit()


def _listen(addresses: Sequence[Listen]) -> list[socket.socket]:
    try:
        return [listen(address) for address in addresses]
    except CannotListen as error:
        raise ConfigError("listen", str(error)) from None


def _tell_start(plan: Plan, sockets: Sequence[socket.socket]) -> None:
    served = ",".join(_name(bound) for bound in sockets)
    shown = [f"{agent.name}={agent.address}" for agent in plan.agents[:5]]
    watched = ",".join([*shown, *(["…"] if len(plan.agents) > len(shown) else [])])
    fields = {"version": __version__, "agents": len(plan.agents), "watching": watched, "serving": served}
    _log.info("started", extra={"fields": fields})
    _tell_warnings(plan)


def _tell_warnings(plan: Plan) -> None:
    for warning in plan.warnings:
        _log.warning(warning)


def _tell_what_needs_a_restart(before: Plan, after: Plan) -> None:
    """What a reload cannot change stays as it was at the start, ``before``."""
    _tell_warnings(after)
    for field in ("listen", "log_level", "log_format"):
        if getattr(before, field) != getattr(after, field):
            _log.warning("this setting needs a restart", extra={"fields": {"setting": ROWS[field].flag}})


def _name(bound: socket.socket) -> str:
    name = bound.getsockname()
    return f"unix:{name}" if isinstance(name, str) else str(Listen(name[0], name[1]))


def _tell(agent: Agent, change: Change) -> None:
    _log.log(change.level, change.message, extra={"fields": {**change.fields, "agent": agent.name}})


def _leave_at_once() -> None:
    """Ends the process though a poll still hangs, in a name resolution that nobody can interrupt."""
    logging.shutdown()
    os._exit(0)
