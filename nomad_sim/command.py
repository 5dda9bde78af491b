"""The command ``nomad-exporter demo``."""

# The modules that run the demo are imported late, so that --help and errors in options are fast.

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import click
from click.core import ParameterSource

from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.options import MAX_AGENTS, Options
from nomad_sim.versions import NEWEST, VERSIONS

_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
_OPTION_WIDTH = 30
_DEFAULT = Options()

_HELP = """Run a simulated Nomad cluster and an exporter that monitors it.

Each simulated agent serves Nomad's agent API on its own port. The control page lists the agents, injects faults such as
kill, pause and partition, and runs incidents."""


def command() -> click.Command:
    """Return the command, with an option for each field of ``Options``."""
    return _DemoCommand(
        "demo",
        callback=click.pass_context(_demo),
        params=[option for options in _OPTIONS.values() for option in options],
        help=_HELP,
        context_settings=_CONTEXT,
    )


class _DemoCommand(click.Command):
    """A command whose help groups the options and lists the incidents."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        help_option = self.get_help_option(ctx)
        general = [help_option] if help_option else []
        for heading, options in {**_OPTIONS, "General": general}.items():
            records = [record for option in options if (record := option.get_help_record(ctx))]
            _write_section(formatter, heading, records)
        _write_section(formatter, "Incidents", [(incident.name, incident.title) for incident in INCIDENTS.values()])


def _write_section(formatter: click.HelpFormatter, heading: str, rows: Sequence[tuple[str, str]]) -> None:
    with formatter.section(heading):
        formatter.write_dl(rows, col_max=_OPTION_WIDTH)


class _Number(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A number from ``low`` to ``high``."""

    name = "number"

    def __init__(self, parse: Callable[[str], float], low: float, high: float) -> None:
        self._parse = parse
        self._low = low
        self._high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = self._parse(value)
        except ValueError:
            number = float("nan")
        if not self._low <= number <= self._high:
            flag = param.opts[0] if param else "value"
            kind = "an integer" if self._parse is int else "a number"
            raise click.UsageError(f"{flag} must be {kind} from {self._low:g} to {self._high:g} (got {value})", ctx)
        return number


def _value(flag: str, metavar: str, help: str, default: Any, type: click.ParamType[Any] | None = None) -> click.Option:
    text = f"{default:g}" if isinstance(default, float) else default
    return click.Option([flag], type=type, metavar=metavar, default=default, help=f"{help} (default: {text}).")


def _switch(flag: str, help: str) -> click.Option:
    return click.Option([flag], is_flag=True, help=help)


_PORT = _Number(int, 0, 65535)

_OPTIONS: Mapping[str, Sequence[click.Option]] = {
    "Cluster": (
        _value("--servers", "N", "Servers per region", _DEFAULT.servers, _Number(int, 1, 50)),
        _value("--clients", "N", "Clients per region", _DEFAULT.clients, _Number(int, 0, 500)),
        _value("--regions", "N", "Federated regions", _DEFAULT.regions, _Number(int, 1, 20)),
        click.Option(
            ["--version", "series"],
            type=click.Choice(list(VERSIONS)),
            metavar="VERSION",
            default=NEWEST.series,
            help=f"Nomad version, one of {', '.join(VERSIONS)} (default: {NEWEST.series}).",
        ),
        _switch("--acl", "ACLs, with tokens that are printed at the start."),
        _switch("--tls", "HTTPS, with generated certificates."),
        _switch("--verify-https-client", "HTTPS that requires client certificates; implies --tls."),
        _value("--host", "HOST", "Host or IP address to listen on", _DEFAULT.host),
        _value("--port", "PORT", "First agent's port, + 10 for each next agent; 0 = free ports", _DEFAULT.port, _PORT),
    ),
    "Simulation": (
        click.Option(
            ["--incident"],
            type=click.Choice(list(INCIDENTS)),
            metavar="NAME",
            help="Incident to run at the start, with the options that it requires.",
        ),
        _value("--pace", "FACTOR", "Speed relative to Nomad, 0.1 to 100", _DEFAULT.pace, _Number(float, 0.1, 100)),
        _value("--seed", "N", "Seed of the random numbers", _DEFAULT.seed, click.INT),
        _value("--control-port", "PORT", "Port of the control page; 0 = a free port", _DEFAULT.control_port, _PORT),
    ),
    "Exporter and Prometheus": (
        _value("--exporter", "BOOL", "Exporter that monitors the agents", "true", click.BOOL),
        _value("--exporter-port", "PORT", "Port of the exporter; 0 = a free port", _DEFAULT.exporter_port, _PORT),
        _value("--interval", "SECONDS", "Poll interval of the exporter", _DEFAULT.interval, _Number(float, 0.1, 60)),
        _switch("--prometheus", "Prometheus from the PATH, which scrapes the exporter."),
        _value("--prometheus-port", "PORT", "Port of Prometheus; 0 = a free port", _DEFAULT.prometheus_port, _PORT),
    ),
}
"""The options by the heading of their section in the help."""


def _demo(
    context: click.Context, series: str, tls: bool, verify_https_client: bool, incident: str | None, **values: Any
) -> int:
    options = Options(
        version=VERSIONS[series], tls=tls or verify_https_client, verify_https_client=verify_https_client, **values
    )
    if incident:
        options = _with_incident(options, incident, context)
    _validate(options)

    from nomad_sim.run import run
    from nomad_sim.sockets import ListenError, PortInUse

    try:
        return run(options, click.echo)
    except PortInUse as error:
        flag = _port_flag(options, error.port)
        raise click.UsageError(
            f"port {error.port} is in use; choose another with {flag} (0 picks a free port)"
        ) from None
    except ListenError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"demo failed: {error.strerror}") from None


def _with_incident(options: Options, name: str, context: click.Context) -> Options:
    from nomad_sim.incidents.requirements import OptionConflict, fit_options

    chosen = {name for name in context.params if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    try:
        return fit_options(options, INCIDENTS[name], chosen | ({"version"} if "series" in chosen else set()))
    except OptionConflict as error:
        raise click.UsageError(f"--incident {error}") from None


def _validate(options: Options) -> None:
    """Raise UsageError for options that exclude each other or that this machine cannot satisfy."""
    if not options.host:
        raise click.UsageError("--host must not be empty")
    if options.agents > MAX_AGENTS:
        raise click.UsageError(
            f"--servers, --clients and --regions must add up to at most {MAX_AGENTS} agents (got {options.agents})"
        )
    if options.port and options.port + 10 * options.agents > 65535:
        raise click.UsageError(f"--port must leave 10 ports for each of {options.agents} agents (got {options.port})")
    if options.tls and find_spec("trustme") is None:
        raise click.UsageError("--tls requires trustme: pip install 'nomad-exporter[demo]'")
    if options.prometheus and not options.exporter:
        raise click.UsageError("--prometheus requires the exporter (got --exporter=false)")
    if options.prometheus and shutil.which("prometheus") is None:
        raise click.UsageError("--prometheus requires prometheus on the PATH")


def _port_flag(options: Options, port: int) -> str:
    """Return the flag that sets a port of the demo."""
    # If two flags name the same port, the program that starts last fails.
    ports = {
        "--prometheus-port": options.prometheus and options.prometheus_port,
        "--exporter-port": options.exporter and options.exporter_port,
        "--control-port": options.control_port,
    }
    return next((flag for flag, used in ports.items() if used == port), "--port")
