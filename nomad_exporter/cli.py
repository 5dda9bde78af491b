"""The command ``nomad-exporter``: reads the settings and starts the exporter. The heavy modules are imported last."""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from nomad_exporter import __version__
from nomad_exporter.cli_options import CONTEXT, from_context, options
from nomad_exporter.config import file as config_file
from nomad_exporter.config.load import load_config
from nomad_exporter.config.model import Config, ConfigError
from nomad_exporter.config.yaml import DocumentError
from nomad_exporter.nomad.agent import Agent

USAGE_ERROR = 2
INTERNAL_ERROR = 70
CHECK_ERROR = 3
"""Instead of both, of a check: 2 means to those who read it that the agent is not well."""

_EPILOG = """\
Every flag has a variable: --poll.interval is NOMAD_EXPORTER_POLL_INTERVAL. Flags win over variables, and those over
Nomad's own: NOMAD_ADDR, NOMAD_TOKEN, NOMAD_HTTP_AUTH, NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY,
NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY."""


def main() -> NoReturn:
    """Runs the command and exits: 0 after a clean stop, 2 with one line where a setting is wrong."""
    arguments = sys.argv[1:]
    is_check = "check" in arguments
    _open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL if is_check else _stop_early)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # It would end us; now it waits until we serve.
    try:
        code = _run(arguments)
    except ERRORS as error:
        _fail(format_error(error), CHECK_ERROR if is_check else USAGE_ERROR)
    except Exception as error:  # noqa: BLE001  # The edge of the product: no traceback may reach a user.
        line = f"internal error, please report it: {type(error).__name__} in {_where(error)}"
        _fail(line, CHECK_ERROR if is_check else INTERNAL_ERROR)
    sys.exit(code)


ERRORS = (click.ClickException, ConfigError, DocumentError)
"""What a wrong setting raises, wherever it stands."""


def format_error(error: Exception) -> str:
    """A wrong setting, in one line."""
    return error.format_message() if isinstance(error, click.ClickException) else str(error)


def _run(arguments: Sequence[str]) -> int:
    """Does what the command line says; gives the exit code.

    Whatever else there is stands first on it, and reads no settings but its own.
    """
    name = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    made, rest = (COMMANDS[name](), arguments[1:]) if name else (command(), arguments)
    code: int = made.main(list(rest), prog_name=f"nomad-exporter {name}".strip(), standalone_mode=False)
    return code


def command() -> click.Command:
    """The command, with an option for every setting that may stand on a command line."""
    check = click.Option(["--config.check", "only_check"], is_flag=True, help="Check the settings and end.")
    version = f"nomad-exporter, version {__version__} (python {platform.python_version()})"
    made = _Commands(
        "nomad-exporter",
        callback=click.pass_context(_command),
        invoke_without_command=True,
        subcommand_metavar="".join(f"| {name} … " for name in COMMANDS).strip(),
        params=[*options(), check],
        help="Prometheus exporter and health bridge for HashiCorp Nomad agents.",
        epilog=_EPILOG,
        context_settings=CONTEXT,
    )
    return click.version_option(__version__, message=version)(made)


def _check() -> click.Command:
    from nomad_exporter.check.command import command

    return command()


def _demo() -> click.Command:
    from nomad_sim.command import command

    return command()


COMMANDS: Mapping[str, Callable[[], click.Command]] = {"check": _check, "demo": _demo}
"""What else there is beside the exporter; of that, only what is asked for is imported."""


class _Commands(click.Group):
    """The exporter, and what else there is, for the help."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        return COMMANDS[name]() if name in COMMANDS else None


def _command(context: click.Context, only_check: bool, **_: Any) -> int:
    if context.invoked_subcommand:
        raise click.UsageError(f"{context.invoked_subcommand} must stand first, and its options behind it")
    replan = _planner(context)
    planned = replan()
    if only_check:
        from nomad_exporter.config.credentials import check

        path = context.params["file"]
        check(planned.agents, config_file.read(path).agents if path else None)
        click.echo(f"The settings are good: {_summary(planned)}.")
        return 0
    from nomad_exporter.app import run

    return run(planned, lambda: _or_fault(replan))


def _planner(context: click.Context) -> Callable[[], Config]:
    """What gathers the plan, now and at each reload; a node keeps the name that it told first."""
    return partial(load_config, from_context(context), socket.gethostname(), cache(_node_name))


def _node_name(agent: Agent) -> str:
    from nomad_exporter.nomad.naming import node_name

    return node_name(agent)


def _or_fault(replan: Callable[[], Config]) -> Config | str:
    """The plan as it is now, or in one line why there is none."""
    try:
        return replan()
    except ERRORS as error:
        return format_error(error)


def _summary(planned: Config) -> str:
    shown = [f"{agent.name} at {agent.address}" for agent in planned.agents[:5]]
    more = len(planned.agents) - len(shown)
    agents = ", ".join([*shown, *([f"{more} more"] if more else [])])
    return f"watching {agents}; serving on {', '.join(map(str, planned.listen))}"


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
