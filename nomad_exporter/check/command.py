"""The command ``nomad-exporter check``."""

# The modules that poll and evaluate are imported late, so that --help and errors in settings are fast.

from __future__ import annotations

import io
import os
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from nomad_exporter import clock
from nomad_exporter.cli_options import (
    CONTEXT,
    EPILOG,
    GroupedHelp,
    Value,
    from_context,
    options,
    print_error,
    print_warnings,
)
from nomad_exporter.config import file as config_file
from nomad_exporter.config import parsers
from nomad_exporter.config.load import RawSettings, check_credentials, load_config, locate
from nomad_exporter.config.model import Config, ConfigError
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.verdicts.reasons import Question

if TYPE_CHECKING:
    from nomad_exporter.nomad.sources import Source
    from nomad_exporter.polling.snapshot import Snapshot

UNKNOWN = 3
"""Exit code of an error, as in ``lines.State``; any other would be read as the result of the check."""

QUESTIONS = (*map(str, Question), "health")
MAX_TIMEOUT = 60.0

_RESERVED_SECONDS = 0.2
"""Part of the timeout for the evaluation and the output, and for a thread that ends a little late."""

_SINGLE_POLL: Mapping[str, Any] = {
    "interval": 3600.0,
    "health_interval": 3600.0,
    "max_age": None,
    "failure_threshold": 1,
}
"""Values that replace the settings here: with a single poll, no interval limits anything and one failure decides."""

_HELP = """Check agents once, without a running exporter.

Prints one line per agent, then the remedies; the exit code is the result.

\b
live    Would a restart of the agent help?
ready   Can the agent do its work? (default)
quorum  Does the cluster keep its quorum without this server?
health  What does Nomad itself report at /v1/agent/health?

\b
Exit codes:
0  OK        all checks passed
1  WARNING   a check failed, with --warn
2  CRITICAL  a check failed
3  UNKNOWN   wrong command line or setting, token missing or without a permission, agent not polled

A single failed poll fails the check, so use --wait before you act on a failure. For quorum, all configured agents are
polled, because each of them is evidence."""


def command() -> click.Command:
    """Return the command, with an option for every setting that has an effect on a single poll."""
    return _Command(
        "check",
        callback=click.pass_context(_check),
        params=[*_parameters(), *options({field for field, setting in SETTINGS.items() if setting.in_check})],
        help=_HELP,
        epilog=EPILOG,
        context_settings=CONTEXT,
    )


class _Command(GroupedHelp):
    """The command; an error in its settings, or of its own, ends it with ``UNKNOWN``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _unknown_after_error():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _unknown_after_error():
            return super().invoke(ctx)


@contextmanager
def _unknown_after_error() -> Iterator[None]:
    try:
        yield
    except click.exceptions.Exit:
        raise
    except Exception as error:  # noqa: BLE001  # The exit codes of the exporter mean something else here.
        print_error(error)
        raise click.exceptions.Exit(UNKNOWN) from None


def _parameters() -> list[click.Parameter]:
    return [
        click.Argument(["question"], type=click.Choice(QUESTIONS), default="ready", metavar=f"[{'|'.join(QUESTIONS)}]"),
        click.Option(
            ["--agent", "names"],
            multiple=True,
            metavar="NAME",
            help="Name of an agent to check; repeatable (default: all configured agents).",
        ),
        click.Option(
            ["--timeout", "check_timeout"],
            type=Value(_parse_timeout, "DURATION"),
            metavar="DURATION",
            help="Timeout for the whole check, at most 1m (default: --poll.timeout).",
        ),
        click.Option(
            ["--wait", "wait_seconds"],
            type=Value(parsers.duration, "DURATION"),
            metavar="DURATION",
            help="Repeat the check for this long until it passes (default: check once).",
        ),
        click.Option(
            ["--warn"], is_flag=True, help="Report a failed check as WARNING (exit code 1) instead of CRITICAL (2)."
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as JSON, with details."),
    ]


def _parse_timeout(text: str) -> float:
    seconds = parsers.duration(text)
    if seconds > MAX_TIMEOUT:
        raise ValueError("must be at most 1m")
    return seconds


def _check(
    context: click.Context,
    question: str,
    names: Collection[str],
    check_timeout: float | None,
    wait_seconds: float | None,
    warn: bool,
    as_json: bool,
    **_: Any,
) -> int:
    raw = _for_single_poll(from_context(context))
    config = load_config(raw, socket.gethostname(), lambda agent: agent.name)
    print_warnings(config)
    names = names or [agent.name for agent in config.agents]
    _require_known(names, config.agents)

    from nomad_exporter.check import findings
    from nomad_exporter.check.wait import Attempt, wait
    from nomad_exporter.verdicts import lines

    seconds = _polling_seconds(check_timeout or config.poll.timeout, time.process_time())
    agents = [agent for agent in config.agents if question == Question.QUORUM or agent.name in names]
    sources = findings.required_sources(question, config.thresholds)

    def attempt(limit: float) -> Attempt:
        fleet = _poll_agents(agents, sources, min(seconds, limit))
        return Attempt(findings.check_agents(question, fleet, names, clock.now(), config.thresholds), fleet)

    if wait_seconds is None:
        found = attempt(seconds).findings
    else:
        _check_credentials(raw, config, agents)
        found = wait(attempt, clock.now, time.sleep, wait_seconds)
    found = findings.downgrade_critical(found) if warn else found
    _print(findings.format_json(question, found) if as_json else lines.format_lines(question, found))
    return lines.worst_state(found)


def _check_credentials(raw: RawSettings, config: Config, agents: Collection[Agent]) -> None:
    """Raise ConfigError or DocumentError for a credential file that waiting does not make readable."""
    file = config_file.read(raw.file)
    entries: Sequence[config_file.AgentEntries] = file.agents or [{} for _ in config.agents]
    polled = [pair for pair in zip(config.agents, entries, strict=True) if pair[0] in agents]
    try:
        check_credentials([agent for agent, _ in polled], [entry for _, entry in polled])
    except ConfigError as error:
        raise locate(error, raw, file) from None


def _for_single_poll(raw: RawSettings) -> RawSettings:
    return replace(raw, values={**raw.values, **_SINGLE_POLL}, defaults=raw.defaults - _SINGLE_POLL.keys())


def _require_known(names: Iterable[str], agents: Sequence[Agent]) -> None:
    known = [agent.name for agent in agents]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        raise click.UsageError(f"--agent must be one of {shown} (got {unknown!r})")


def _polling_seconds(timeout: float, elapsed: float) -> float:
    """Return how much of ``timeout`` is left for polling after a start of ``elapsed`` seconds; at least half of it."""
    return max(0.01, round(max(timeout - elapsed - _RESERVED_SECONDS, timeout / 2), 2))


def _poll_agents(agents: Iterable[Agent], sources: Collection[Source[Any]], seconds: float) -> list[Snapshot]:
    from nomad_exporter.check.collect import collect
    from nomad_exporter.nomad.connections import Network
    from nomad_exporter.nomad.tls import Contexts
    from nomad_exporter.nomad.transport import Transport

    contexts, network = Contexts(), Network()
    return collect({agent: Transport(agent, contexts, network) for agent in agents}, sources, clock.now, seconds)


def _print(text: str) -> None:
    """Print ``text``, and ignore a closed or full standard output: the exit code remains correct."""
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except OSError:
        # Python flushes standard output once more at its end, which would fail and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
