"""The command ``nomad-exporter``: reads the settings and starts the exporter. The heavy modules are imported last."""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from nomad_exporter import __version__
from nomad_exporter.config import file as config_file
from nomad_exporter.config.document import DocumentError
from nomad_exporter.config.gather import Given, gather
from nomad_exporter.config.plan import ConfigError, Plan
from nomad_exporter.config.settings import PREFIX, ROWS, Row
from nomad_exporter.config.values import masked
from nomad_exporter.nomad.agent import Agent

USAGE_ERROR = 2
INTERNAL_ERROR = 70

_EPILOG = """\
Every flag has a variable: --poll.interval is NOMAD_EXPORTER_POLL_INTERVAL. Flags win over variables, and those over
Nomad's own: NOMAD_ADDR, NOMAD_TOKEN, NOMAD_HTTP_AUTH, NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY,
NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY."""


def main() -> NoReturn:
    """Runs the command and exits: 0 after a clean stop, 2 with one line where a setting is wrong."""
    _open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # It would end us; now it waits until we serve.
    try:
        code = command().main(prog_name="nomad-exporter", standalone_mode=False)
    except ERRORS as error:
        _fail(told(error), USAGE_ERROR)
    except Exception as error:  # noqa: BLE001  # The edge of the product: no traceback may reach a user.
        _fail(f"internal error, please report it: {type(error).__name__} in {_where(error)}", INTERNAL_ERROR)
    sys.exit(code)


ERRORS = (click.ClickException, ConfigError, DocumentError)
"""What a wrong setting raises, wherever it stands."""


def told(error: Exception) -> str:
    """A wrong setting, in one line."""
    return error.format_message() if isinstance(error, click.ClickException) else str(error)


def command() -> click.Command:
    """The command, with an option for every setting that may stand on a command line."""
    file = click.Option(
        ["--config.file", "file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar=f"{PREFIX}CONFIG_FILE",
        help="YAML file with agents and settings.",
    )
    check = click.Option(["--config.check", "only_check"], is_flag=True, help="Check the settings and end.")
    options = [_option(field, row) for field, row in ROWS.items() if not row.secret]
    version = f"nomad-exporter, version {__version__} (python {platform.python_version()})"
    made = _Commands(
        "nomad-exporter",
        callback=click.pass_context(_command),
        invoke_without_command=True,
        subcommand_metavar="[demo …]",
        params=[file, *options, check],
        help="Prometheus exporter and health bridge for HashiCorp Nomad agents.",
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    return click.version_option(__version__, message=version)(made)


class _Commands(click.Group):
    """The exporter, and what else there is; of that, only what is asked for is imported."""

    def list_commands(self, _: click.Context) -> list[str]:
        return ["demo"]

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name != "demo":
            return None
        from nomad_exporter.demo.command import command as demo

        return demo()


def _command(context: click.Context, only_check: bool, **_: Any) -> int:
    if context.invoked_subcommand:
        return 0
    replan = _planner(context)
    planned = replan()
    if only_check:
        from nomad_exporter.config.check import check

        path = context.params["file"]
        check(planned.agents, config_file.read(path).agents if path else None)
        click.echo(f"The settings are good: {_summary(planned)}.")
        return 0
    from nomad_exporter.app import run

    return run(planned, lambda: _or_fault(replan))


def _planner(context: click.Context) -> Callable[[], Plan]:
    """What gathers the plan, now and at each reload; a node keeps the name that it told first."""
    sources = {field: context.get_parameter_source(field) for field, row in ROWS.items() if not row.secret}
    given = Given(
        values={field: context.params[field] for field in sources},
        flags=frozenset(field for field, source in sources.items() if source is ParameterSource.COMMANDLINE),
        defaults=frozenset(field for field, source in sources.items() if source is ParameterSource.DEFAULT),
        environment=dict(os.environ),
        file=context.params["file"],
    )
    return partial(gather, given, socket.gethostname(), cache(_node_name))


def _node_name(agent: Agent) -> str:
    from nomad_exporter.nomad.naming import node_name

    return node_name(agent)


def _or_fault(replan: Callable[[], Plan]) -> Plan | str:
    """The plan as it is now, or in one line why there is none."""
    try:
        return replan()
    except ERRORS as error:
        return told(error)


def _summary(planned: Plan) -> str:
    shown = [f"{agent.name} at {agent.address}" for agent in planned.agents[:5]]
    more = len(planned.agents) - len(shown)
    agents = ", ".join([*shown, *([f"{more} more"] if more else [])])
    return f"watching {agents}; serving on {', '.join(map(str, planned.listen))}"


class _Value(click.ParamType):  # type: ignore[type-arg]  # only the newest click has it generic
    """A value read by the reader of its row; what is wrong is said in the reader's words."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.name = row.metavar.lower()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.row.read(value)
        except ValueError as error:
            self.fail(f"{masked(value)!r}: {error}", param, ctx)


def _option(field: str, row: Row) -> click.Option:
    default = f" [default: {row.default}]" if row.default else ""
    kind: dict[str, Any] = {"is_flag": True} if row.switch else {"type": _Value(row), "metavar": row.metavar}
    return click.Option(
        [row.flag, field],
        default=False if row.switch else [row.default] if row.repeat else row.default,
        envvar=list(row.variables),
        multiple=row.repeat,
        help=row.help + default,
        **kind,
    )


def _open_standard_streams() -> None:
    """Gives each standard stream that the caller closed to the null device, lest a socket of ours takes its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _fail(line: str, code: int) -> NoReturn:
    print(f"nomad-exporter: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _stop_early(_: int, __: FrameType | None) -> NoReturn:
    """A stop before the server has taken over the signals."""
    sys.exit(0)
