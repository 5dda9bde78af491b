"""The command ``nomad-exporter check``. What asks and judges is imported once it is known what is wanted."""

from __future__ import annotations

import io
import os
import socket
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from nomad_exporter import clock
from nomad_exporter.cli_options import CONTEXT, Value, from_context, options
from nomad_exporter.config import parsers
from nomad_exporter.config.load import RawSettings, load_config
from nomad_exporter.config.settings import AGENT, SETTINGS
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.verdicts.reasons import Question

if TYPE_CHECKING:
    from nomad_exporter.nomad.sources import Source
    from nomad_exporter.polling.snapshot import Snapshot

QUESTIONS = (*map(str, Question), "health")
MOST_SECONDS = 60.0

_RESERVE = 0.2
"""Seconds of the time-out that are for judging and telling, and for a thread that is a little late."""

_ONCE: Mapping[str, Any] = {"interval": 3600.0, "health_interval": 3600.0, "max_age": None, "failure_threshold": 1}
"""What these settings are here, whatever else was told: there is no cadence that could bound anything."""

_FLAGS = {
    field
    for field, row in SETTINGS.items()
    if (row.section in (AGENT, "verdict") and field != "failure_threshold") or field in ("timeout", "autopilot")
}
"""Of the exporter's settings those that mean something where all is asked once."""

_HELP = """Ask agents how they are, once and without an exporter; tell it by a line for each and by the exit code.

\b
live    Would a restart of this agent help?
ready   Can it do its work? (the default)
quorum  Does the cluster survive without this server?
health  What does Nomad say of itself?

One attempt decides: whoever acts on it repeats it. Of quorum, all agents of the configuration are witnesses.

The exit code is 0 for yes, 2 for no, or 1 with --warn, and 3 where the command, a setting or a token is at fault."""


def command() -> click.Command:
    """The command, with an option for every setting that matters to it."""
    return click.Command(
        "check",
        callback=click.pass_context(_check),
        params=[*_params(), *options(_FLAGS)],
        help=_HELP,
        short_help="Ask agents how they are, once.",
        context_settings=CONTEXT,
    )


def _params() -> list[click.Parameter]:
    return [
        click.Argument(["question"], type=click.Choice(QUESTIONS), default="ready", metavar=f"[{'|'.join(QUESTIONS)}]"),
        click.Option(
            ["--agent", "names"],
            multiple=True,
            metavar="NAME",
            help="An agent that is asked about; repeatable; default: all of the configuration.",
        ),
        click.Option(
            ["--timeout", "whole"],
            type=Value(_timeout, "DURATION"),
            metavar="DURATION",
            help="For the check, whole; default: --poll.timeout.",
        ),
        click.Option(["--warn"], is_flag=True, help="A no is a warning: exit code 1 instead of 2."),
        click.Option(["--json", "as_json"], is_flag=True, help="Tell it as JSON, with the numbers behind it."),
    ]


def _timeout(text: str) -> float:
    seconds = parsers.duration(text)
    if seconds > MOST_SECONDS:
        raise ValueError("must be at most 1m")
    return seconds


def _check(
    context: click.Context,
    question: str,
    names: Collection[str],
    whole: float | None,
    warn: bool,
    as_json: bool,
    **_: Any,
) -> int:
    plan = load_config(_once(from_context(context)), socket.gethostname(), lambda agent: agent.name)
    for warning in plan.warnings:
        click.echo(f"nomad-exporter: {warning}", err=True)
    names = names or [agent.name for agent in plan.agents]
    _must_be_known(names, plan.agents)

    from nomad_exporter.check import output
    from nomad_exporter.check.evaluate import findings, sources

    seconds = _seconds(whole or plan.poll.timeout, time.process_time())
    asked = [agent for agent in plan.agents if question == Question.QUORUM or agent.name in names]
    fleet = _ask(asked, sources(question, plan.thresholds), seconds)
    found = findings(question, fleet, names, clock.now(), plan.thresholds)
    found = output.downgrade_critical(found) if warn else found
    _tell(output.format_json(question, found) if as_json else output.format_lines(question, found))
    return output.worst(found)


def _once(told: RawSettings) -> RawSettings:
    """The settings where all is asked once: there is no cadence, so no answer is old, and one attempt decides."""
    return replace(told, values={**told.values, **_ONCE}, defaults=told.defaults - _ONCE.keys())


def _must_be_known(names: Iterable[str], agents: Sequence[Agent]) -> None:
    known = [agent.name for agent in agents]
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        raise click.UsageError(f"--agent: no agent has the name {missing!r}; known: {shown}")


def _seconds(timeout: float, spent: float) -> float:
    """The seconds of a time-out that are for asking, once so many were ``spent`` on the start; at least half of it."""
    return max(0.01, round(max(timeout - spent - _RESERVE, timeout / 2), 2))


def _ask(agents: Iterable[Agent], sources: Collection[Source], seconds: float) -> list[Snapshot]:
    from nomad_exporter.check.collect import collect
    from nomad_exporter.nomad.tls import Contexts
    from nomad_exporter.nomad.transport import Transport

    contexts = Contexts()
    return collect({agent: Transport(agent, contexts) for agent in agents}, sources, clock.now, seconds)


def _tell(text: str) -> None:
    """Prints; where nobody reads it, the exit code still tells."""
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Where Python would try again at its end.
