"""The wiring: which part is given to which, how all starts, and how all stops."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

from nomad_exporter import __version__, clock, logs
from nomad_exporter.config.model import Config, ConfigError, PollConfig
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.metrics.render import render_agent
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.sources import Source
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.schedule import PollJob, Schedule
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change
from nomad_exporter.serving.listen import CannotListen, Listen, listen, raise_file_limit
from nomad_exporter.serving.server import serve
from nomad_exporter.web.asgi import application
from nomad_exporter.web.routes import Site

STOP_SECONDS = 0.5
"""How long the polls that run may take to end once their connections are cut."""

WORKERS = 256
"""The most threads that poll agents which answer in time; they are made as they are needed."""

LoadConfig = Callable[[], Config | str]
"""Reads the settings again; gives the plan, or in one line why there is none."""

_log = logging.getLogger(__name__)


def run(plan: Config, replan: LoadConfig) -> int:
    """Watches and serves until SIGTERM or SIGINT; gives the exit code. Raises ConfigError where it cannot listen."""
    logs.set_up(plan.log_level, plan.log_format)
    _prepare_process()
    sockets = _listen(plan.listen)
    exporter = Exporter(plan, replan)
    _log_start(plan, sockets)
    exporter.start()
    serve(application(lambda: exporter.site, clock.now), sockets, exporter.resync, exporter.reload)
    _log.info("stopping")
    if not exporter.stop():
        _force_exit()
    return 0


class Exporter:
    """All parts, wired: what is watched, when, and the ``site`` that shows it. Only ``reload`` changes the wiring."""

    def __init__(self, plan: Config, replan: LoadConfig) -> None:
        self._first_plan, self._plan, self._replan = plan, plan, replan
        self._self_metrics = SelfMetrics()
        self._self_metrics.record_reload(clock.now())
        self._store = Store(plan.agents, render_agent)
        self._contexts = Contexts()
        self._transports = {agent.name: Transport(agent, self._contexts) for agent in plan.agents}
        self._poller = self._build_poller(plan)
        self._schedule = Schedule(
            self._jobs(plan),
            clock.now,
            WORKERS,
            self._store.record_heartbeat,
            self._self_metrics.count_skipped_poll,
            self._self_metrics.count_clock_step,
        )
        self.site = self._site(plan)

    def start(self) -> None:
        """Begins to ask."""
        self._schedule.start()

    def resync(self) -> None:
        """To be called every second: bears a step of the wall clock."""
        self._schedule.resync()

    def stop(self) -> bool:
        """Asks no more, and ends what is being asked; gives whether that could be done."""
        self._schedule.stop()
        for transport in self._transports.values():
            transport.close()
        return self._schedule.join(STOP_SECONDS)

    def reload(self) -> str | None:
        """Reads the settings again and follows them; gives why not, in one line, where they are wrong.

        An agent whose settings are as before keeps its connections, its turn and all that is known of it.
        """
        plan = self._replan()
        if isinstance(plan, str):
            self._self_metrics.record_reload(None)
            _log.error("reload failed, nothing has changed", extra={"fields": {"error": plan}})
            return plan
        _log_what_needs_a_restart(self._first_plan, plan)
        self._follow(plan)
        self._self_metrics.record_reload(clock.now())
        _log.info("reloaded", extra={"fields": {"agents": len(plan.agents)}})
        return None

    def _follow(self, plan: Config) -> None:
        before = {agent.name: agent for agent in self._plan.agents}
        kept = {agent.name: self._transports[agent.name] for agent in plan.agents if before.get(agent.name) == agent}
        gone = [transport for name, transport in self._transports.items() if name not in kept]
        new = {agent.name: Transport(agent, self._contexts) for agent in plan.agents if agent.name not in kept}
        self._store.replace(plan.agents)
        if not plan.thresholds.autopilot:
            self._store.clear(Source.AUTOPILOT)
        self._plan, self._transports = plan, {**kept, **new}
        self._poller = self._build_poller(plan)
        self._schedule.replace(self._jobs(plan))
        self.site = self._site(plan)
        self._contexts.keep(agent.tls for agent in plan.agents)
        for transport in gone:
            transport.close()

    def _build_poller(self, plan: Config) -> Poller:
        return Poller(
            self._store,
            self._transports,
            clock.now,
            plan.poll.timeout,
            _log_change,
            autopilot=plan.thresholds.autopilot,
        )

    def _jobs(self, plan: Config) -> list[PollJob]:
        return [turn for agent in plan.agents for turn in self._jobs_of(agent, plan.poll)]

    def _jobs_of(self, agent: Agent, cadence: PollConfig) -> tuple[PollJob, PollJob]:
        """The turns of one agent; they find the rounds at the moment they come, for a reload can change them."""
        return (
            PollJob(
                f"{agent.name} health",
                cadence.health_interval,
                lambda late: self._poller.poll_health(agent, late),
                agent,
            ),
            PollJob(f"{agent.name} state", cadence.interval, lambda late: self._poller.poll_state(agent, late), agent),
        )

    def _site(self, plan: Config) -> Site:
        reload = self.reload if plan.enable_lifecycle else None
        return Site(self._store, self._self_metrics, plan.thresholds, reload)


def _prepare_process() -> None:
    """Threads take turns every millisecond, so that no probe waits for a poll; and as many files as we may open."""
    sys.setswitchinterval(0.001)
    raise_file_limit()


def _listen(addresses: Sequence[Listen]) -> list[socket.socket]:
    try:
        return [listen(address) for address in addresses]
    except CannotListen as error:
        raise ConfigError("listen", str(error)) from None


def _log_start(plan: Config, sockets: Sequence[socket.socket]) -> None:
    served = ",".join(_name(bound) for bound in sockets)
    shown = [f"{agent.name}={agent.address}" for agent in plan.agents[:5]]
    watched = ",".join([*shown, *(["…"] if len(plan.agents) > len(shown) else [])])
    fields = {"version": __version__, "agents": len(plan.agents), "watching": watched, "serving": served}
    _log.info("started", extra={"fields": fields})
    _log_warnings(plan)


def _log_warnings(plan: Config) -> None:
    for warning in plan.warnings:
        _log.warning(warning)


def _log_what_needs_a_restart(before: Config, after: Config) -> None:
    """What a reload cannot change stays as it was at the start, ``before``."""
    _log_warnings(after)
    for field in ("listen", "log_level", "log_format"):
        if getattr(before, field) != getattr(after, field):
            _log.warning("this setting needs a restart", extra={"fields": {"setting": SETTINGS[field].flag}})


def _name(bound: socket.socket) -> str:
    name = bound.getsockname()
    return f"unix:{name}" if isinstance(name, str) else str(Listen(name[0], name[1]))


def _log_change(agent: Agent, change: Change) -> None:
    _log.log(change.level, change.message, extra={"fields": {**change.fields, "agent": agent.name}})


def _force_exit() -> None:
    """Ends the process though a poll still hangs, in a name resolution that nobody can interrupt."""
    logging.shutdown()
    os._exit(0)
