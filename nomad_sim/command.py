"""The command ``nomad-exporter demo``. Nothing heavy is imported before it runs."""

from __future__ import annotations

import math
import shutil
from typing import Any

import click
from click.core import ParameterSource

from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.options import MAX_AGENTS, Options
from nomad_sim.versions import NEWEST, VERSIONS

_DEFAULT = Options()

_HELP = """A living cluster of simulated Nomad agents, and the exporter that watches it.

Every agent serves Nomad's whole agent API on a port of its own: ask it as you would ask a real one. Its own page tells
who is there, lets you kill, pause and partition agents, and plays incidents."""


def command() -> click.Command:
    """The command, with an option for all that one can choose."""
    return click.Command(
        "demo",
        callback=click.pass_context(_demo),
        params=_options(),
        help=_HELP,
        short_help="Play a simulated cluster.",
    )


def _options() -> list[click.Parameter]:
    port = click.IntRange(0, 65535)
    return [
        _number("--servers", _DEFAULT.servers, "Servers in each region.", click.IntRange(1, 50)),
        _number("--clients", _DEFAULT.clients, "Clients in each region.", click.IntRange(0, 500)),
        _number("--regions", _DEFAULT.regions, "Regions, all in one gossip pool.", click.IntRange(1, 20)),
        click.Option(
            ["--version", "series"],
            type=click.Choice(list(VERSIONS)),
            default=NEWEST.series,
            show_default=True,
            help="The version of Nomad to play.",
        ),
        click.Option(["--acl"], is_flag=True, help="Access control: the tokens are shown at the start."),
        click.Option(["--tls"], is_flag=True, help="HTTPS, with certificates that are made at the start."),
        click.Option(["--verify-https-client"], is_flag=True, help="As --tls, and clients must show a certificate."),
        _number("--pace", _DEFAULT.pace, "How much faster than Nomad all goes.", click.FloatRange(0.1, 100)),
        _number(
            "--interval", _DEFAULT.interval, "Seconds between two polls of the exporter.", click.FloatRange(0.1, 60)
        ),
        _number("--seed", _DEFAULT.seed, "What chance comes from.", click.INT),
        click.Option(["--host"], default=_DEFAULT.host, show_default=True, help="The address to serve on."),
        _number("--port", _DEFAULT.port, "The first agent's port, the next ones 10 later; 0 takes free ones.", port),
        _number("--control-port", _DEFAULT.control_port, "The port of the demo's own page.", port),
        click.Option(
            ["--exporter"], type=click.BOOL, default=True, show_default=True, help="Whether to start the exporter."
        ),
        _number("--exporter-port", _DEFAULT.exporter_port, "The port of the exporter.", port),
        click.Option(["--prometheus"], is_flag=True, help="Start the prometheus that is on the PATH, too."),
        _number("--prometheus-port", _DEFAULT.prometheus_port, "The port of Prometheus.", port),
        click.Option(
            ["--incident"],
            type=click.Choice(list(INCIDENTS)),
            metavar="NAME",
            help=f"Play an incident, with the options that it needs: {', '.join(INCIDENTS)}.",
        ),
    ]


def _number(flag: str, default: float, help: str, type: Any) -> click.Option:
    return click.Option([flag], type=type, default=default, show_default=True, help=help)


def _demo(
    context: click.Context, series: str, tls: bool, verify_https_client: bool, incident: str | None, **chosen: Any
) -> int:
    options = Options(
        version=VERSIONS[series], tls=tls or verify_https_client, verify_https_client=verify_https_client, **chosen
    )
    if incident:
        options = _with_incident(options, incident, context)
    _validate(options)

    from nomad_sim.run import run
    from nomad_sim.sockets import ListenError

    try:
        return run(options, click.echo)
    except ListenError as error:
        raise click.UsageError(f"{error}; choose other ports, of which 0 is a free one") from None
    except OSError as error:
        raise click.ClickException(f"the demo cannot go on: {error.strerror}") from None


def _with_incident(options: Options, name: str, context: click.Context) -> Options:
    from nomad_sim.incidents.requirements import OptionConflict, fit_options

    chosen = {one for one in context.params if context.get_parameter_source(one) is not ParameterSource.DEFAULT}
    try:
        return fit_options(options, INCIDENTS[name], chosen | ({"version"} if "series" in chosen else set()))
    except OptionConflict as error:
        raise click.UsageError(f"--incident: {error}") from None


def _validate(options: Options) -> None:
    if not options.host:
        raise click.UsageError("--host: must not be empty")
    if math.isnan(options.pace):
        raise click.UsageError("--pace: must be a number")
    if options.agents > MAX_AGENTS:
        raise click.UsageError(f"--servers, --clients, --regions: {options.agents} agents are more than {MAX_AGENTS}")
    if options.port and options.port + 10 * options.agents > 65535:
        raise click.UsageError(f"--port: there are not {options.agents} ports from {options.port} on")
    if options.prometheus and not options.exporter:
        raise click.UsageError("--prometheus: there is nothing to scrape with --exporter=false")
    if options.prometheus and shutil.which("prometheus") is None:
        raise click.UsageError("--prometheus: there is no prometheus on the PATH")
