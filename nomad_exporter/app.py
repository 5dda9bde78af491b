"""The wiring: which part is given to which, how all starts, and how all stops."""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
from collections.abc import Mapping, Sequence

from nomad_exporter import __version__, clock, logs
from nomad_exporter.config.plan import ConfigError, Plan
from nomad_exporter.metrics.drawing import Drawing, draw
from nomad_exporter.metrics.ourselves import Ourselves
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from nomad_exporter.serving.listen import CannotListen, Listen, listen
from nomad_exporter.serving.server import serve
from nomad_exporter.watch.changes import Change
from nomad_exporter.watch.rounds import Rounds
from nomad_exporter.watch.schedule import Schedule, Turn
from nomad_exporter.watch.store import Store
from nomad_exporter.web.asgi import application
from nomad_exporter.web.routes import Site

STOP_SECONDS = 0.5
"""How long the polls that run may take to end once their connections are cut."""

WORKERS = 64
"""The most threads that poll."""

_log = logging.getLogger(__name__)


def run(plan: Plan) -> int:
    """Watches and serves until SIGTERM or SIGINT; gives the exit code. Raises ConfigError where it cannot listen."""
    logs.set_up(plan.log_level, plan.log_format)
    _prepare_process()
    sockets = _listen(plan.listen)
    ourselves = Ourselves()
    store = Store(plan.agents, draw)
    contexts = Contexts()
    transports = {agent.name: Transport(agent, contexts) for agent in plan.agents}
    schedule = _schedule(plan, store, transports, ourselves)
    _tell_start(plan.agents, sockets)
    schedule.start()
    site = Site(store, ourselves, plan.cadence.max_age, plan.cadence.health_interval)
    serve(application(site, clock.now), sockets, schedule.put_right)
    _log.info("stopping")
    schedule.stop()
    for transport in transports.values():
        transport.close()
    if not schedule.ended(STOP_SECONDS):
        _leave_at_once()
    return 0


def _schedule(plan: Plan, store: Store[Drawing], transports: Mapping[str, Transport], ourselves: Ourselves) -> Schedule:
    rounds = Rounds(store, transports, clock.now, plan.cadence.timeout, _tell)
    turns = [turn for agent in plan.agents for turn in _turns(agent, rounds, plan)]
    workers = min(WORKERS, 2 * len(plan.agents))
    return Schedule(turns, clock.now, workers, store.beat, ourselves.missed, ourselves.stepped)


def _turns(agent: Agent, rounds: Rounds, plan: Plan) -> tuple[Turn, ...]:
    return (
        Turn(f"{agent.name} health", plan.cadence.health_interval, lambda late: rounds.health(agent, late)),
        Turn(f"{agent.name} facts", plan.cadence.interval, lambda late: rounds.facts(agent, late)),
    )


def _prepare_process() -> None:
    """Threads take turns every millisecond, so that no probe waits for a poll; and as many files as we may open."""
    sys.setswitchinterval(0.001)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen(addresses: Sequence[Listen]) -> list[socket.socket]:
    try:
        return [listen(address) for address in addresses]
    except CannotListen as error:
        raise ConfigError.of("listen", str(error)) from None


def _tell_start(agents: Sequence[Agent], sockets: Sequence[socket.socket]) -> None:
    served = ",".join(_name(bound) for bound in sockets)
    watched = ",".join(f"{agent.name}={agent.address}" for agent in agents[:5]) + (",…" if len(agents) > 5 else "")
    fields = {"version": __version__, "agents": len(agents), "watching": watched, "serving": served}
    _log.info("started", extra={"fields": fields})


def _name(bound: socket.socket) -> str:
    name = bound.getsockname()
    return f"unix:{name}" if isinstance(name, str) else str(Listen(name[0], name[1]))


def _tell(agent: Agent, change: Change) -> None:
    _log.log(change.level, change.message, extra={"fields": {"agent": agent.name, **change.fields}})


def _leave_at_once() -> None:
    """Ends the process though a poll still hangs, in a name resolution that nobody can interrupt."""
    logging.shutdown()
    os._exit(0)
