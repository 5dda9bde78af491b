"""The wiring of all parts, and their start, reload and stop."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from nomad_exporter import __version__, clock, logs
from nomad_exporter.change_log import ChangeLog
from nomad_exporter.clock import Instant
from nomad_exporter.config.model import Config, ConfigError, DocumentError, PollConfig
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.metrics.render import render_agent
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.connections import Network
from nomad_exporter.nomad.sources import HEALTH, Source, enabled_sources
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.schedule import Schedule
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.timetable import PollJob, Timetable
from nomad_exporter.reloads import Reloads
from nomad_exporter.server.listen import CannotListen, Listen, listen, raise_file_limit
from nomad_exporter.server.uvicorn import serve
from nomad_exporter.verdicts.changes import Known
from nomad_exporter.web.routes import application
from nomad_exporter.web.site import ReloadError, Site
from nomad_exporter.workers import Workers

STOP_SECONDS = 0.5
"""How long to wait for running polls to end, after their connections were closed."""

RESERVED_FILES = 100
"""How many open files polls leave to the web server, the log and the configuration."""

FILES_PER_AGENT = 3
"""How many connections to one agent are open at the same time, one for each of its poll jobs."""

MAX_LOGGED_AGENTS = 5
"""How many agents the log line of the start names."""

LoadConfig = Callable[[], Config]
"""Loads the configuration again. Raises ConfigError or DocumentError."""

_log = logs.get_logger(__name__)


def run(config: Config, load_config: LoadConfig) -> int:
    """Poll and serve until SIGTERM or SIGINT, then return the exit code. Raise ConfigError if a port cannot be used."""
    log = logs.set_up(config.log_level, config.log_format)
    file_limit = raise_file_limit()
    sockets = _listen(config.listen)
    exporter = Exporter(config, load_config, lambda: log.dropped, max(file_limit - RESERVED_FILES, file_limit // 2))
    _log_start(config, sockets, file_limit)
    serve(
        application(lambda: exporter.site, clock.now),
        sockets,
        on_start=exporter.start,
        every_second=exporter.resync,
        on_hangup=exporter.request_reload,
    )
    _log.info("stopping")
    if not exporter.stop():
        _force_exit()
    return 0


class Exporter:
    """All parts of the exporter, and the ``site`` that serves what they know. Only ``reload`` replaces parts.

    ``dropped_lines`` returns the number of dropped lines of the log. Polls use no file descriptor greater than
    ``max_descriptor``.
    """

    def __init__(
        self,
        config: Config,
        load_config: LoadConfig,
        dropped_lines: Callable[[], int] = lambda: 0,
        max_descriptor: float = math.inf,
    ) -> None:
        self._initial_config, self._config, self._load_config = config, config, load_config
        self._self_metrics = SelfMetrics(dropped_lines)
        self._self_metrics.record_reload(clock.now())
        self._store = Store(config.agents, render_agent)
        self._change_log = ChangeLog(clock.now, self._update)
        self._contexts = Contexts()
        self._workers = Workers("poll")
        self._network = Network(max_descriptor=max_descriptor, waiting=self._workers.waiting)
        self._transports = {agent.name: self._transport(agent) for agent in config.agents}
        self._poller = self._build_poller(config)
        self._schedule = Schedule(
            jobs=self._jobs(config),
            clock=clock.now,
            timetable=Timetable(),
            workers=self._workers,
            on_activity=self._store.record_activity,
            on_skip=self._self_metrics.count_skipped_polls,
            on_clock_step=self._self_metrics.count_clock_step,
        )
        self._reloads = Reloads(self.reload)
        self.site = self._site(config)

    def start(self) -> None:
        """Start polling."""
        self._store.record_activity(clock.now())
        self._schedule.start()
        self._change_log.start()

    def resync(self) -> None:
        """Re-align the schedule after a step of the wall clock; call once per second."""
        self._schedule.resync()

    def stop(self) -> bool:
        """Stop polling and close all connections; return whether all running polls ended."""
        self._store.stop()
        self._schedule.stop()
        for transport in self._transports.values():
            transport.close()
        ended = self._schedule.join(STOP_SECONDS)
        self._change_log.stop()
        return ended

    def request_reload(self) -> None:
        """Reload in another thread, and only log a failure."""
        self._reloads.request().add_done_callback(_log_bug)

    def reload(self) -> None:
        """Load the configuration again and apply it. If it is wrong, log that, change nothing and raise ReloadError.

        An agent with unchanged settings keeps its connections, its poll jobs and its snapshot.
        """
        try:
            config = self._load_config()
        except (ConfigError, DocumentError) as error:
            self._self_metrics.record_reload(None)
            _log.error("reload failed, keeping the current configuration", error=error)
            raise ReloadError(str(error)) from None
        _log_warnings(config)
        _log_restart_required(self._initial_config, config)
        self._apply(config)
        self._self_metrics.record_reload(clock.now())
        _log.info("reloaded", agents=len(config.agents))

    def _apply(self, config: Config) -> None:
        before = {agent.name: agent for agent in self._config.agents}
        kept = {agent.name: self._transports[agent.name] for agent in config.agents if before.get(agent.name) == agent}
        new = {agent.name: self._transport(agent) for agent in config.agents if agent.name not in kept}
        removed = [transport for name, transport in self._transports.items() if name not in kept]
        self._store.record_activity(clock.now())
        self._store.replace(config.agents)
        self._store.keep(enabled_sources(autopilot=config.thresholds.autopilot))
        self._config, self._transports = config, {**kept, **new}
        self._poller = self._build_poller(config)
        self._schedule.replace(self._jobs(config))
        self.site = self._site(config)
        self._contexts.keep(agent.tls for agent in config.agents)
        for transport in removed:
            transport.close()

    def _transport(self, agent: Agent) -> Transport:
        return Transport(agent, self._contexts, self._network)

    def _build_poller(self, config: Config) -> Poller:
        return Poller(
            store=self._store,
            wires=self._transports,
            clock=clock.now,
            seconds=config.poll.timeout,
            sources=enabled_sources(autopilot=config.thresholds.autopilot),
            on_changes=self._change_log.log_changes,
        )

    def _jobs(self, config: Config) -> list[PollJob]:
        sources = enabled_sources(autopilot=config.thresholds.autopilot)
        return [self._job(agent, source, config.poll) for agent in config.agents for source in sources]

    def _job(self, agent: Agent, source: Source[Any], poll: PollConfig) -> PollJob:
        # Each run looks up self._poller: a reload replaces the poller, and keeps the jobs of unchanged agents. An agent
        # at another address is another agent, whose job is new.
        return PollJob(
            name=f"{agent.name} {agent.address} {source.name}",
            interval=poll.health_interval if source is HEALTH else poll.interval,
            action=lambda lateness: self._poller.poll(agent, source, lateness),
            is_wanted=lambda: self._poller.wants(agent, source),
            target=agent,
        )

    def _update(self, known: Known, now: Instant) -> Known:
        fleet = [entry.snapshot for entry in self._store.entries()]
        return known.after(fleet, self._store.polled_clusters, now, self.site.thresholds)

    def _site(self, config: Config) -> Site:
        reload = self._reloads.request if config.enable_lifecycle else None
        return Site(self._store, self._self_metrics, config.thresholds, reload)


def _log_bug(reload: Future[None]) -> None:
    """Log an exception that ended a reload, other than the failures that the reload has logged itself."""
    error = reload.exception()
    if error and not isinstance(error, ReloadError):
        _log.error("reload failed", error=type(error).__name__)


def _listen(addresses: Sequence[Listen]) -> list[socket.socket]:
    try:
        return [listen(address) for address in addresses]
    except CannotListen as error:
        raise ConfigError("listen", str(error)) from None


def _log_start(config: Config, sockets: Sequence[socket.socket], file_limit: int) -> None:
    named = [f"{agent.name}={agent.address}" for agent in config.agents[:MAX_LOGGED_AGENTS]]
    _log.info(
        "started",
        version=__version__,
        agents=len(config.agents),
        monitoring=",".join([*named, *(["…"] if len(config.agents) > len(named) else [])]),
        serving=",".join(_format_address(bound) for bound in sockets),
    )
    _log_warnings(config)
    needed = FILES_PER_AGENT * len(config.agents) + RESERVED_FILES
    if file_limit < needed:
        _log.warning("limit of open files is too low for this number of agents", limit=file_limit, needed=needed)


def _log_warnings(config: Config) -> None:
    for warning in config.warnings:
        _log.warning(warning)


def _log_restart_required(initial: Config, config: Config) -> None:
    """Log the settings that differ from those at the start, but cannot be changed by a reload."""
    for field in ("listen", "log_level", "log_format"):
        if getattr(initial, field) != getattr(config, field):
            # Only the file can have changed since the start.
            _log.warning("setting requires a restart", setting=f"{SETTINGS[field].section}.{SETTINGS[field].key}")


def _format_address(bound: socket.socket) -> str:
    name = bound.getsockname()
    return f"unix:{name}" if isinstance(name, str) else str(Listen(name[0], name[1]))


def _force_exit() -> None:
    """End the process with exit code 0 although a poll still runs: name resolution cannot be interrupted."""
    logging.shutdown()
    os._exit(0)
