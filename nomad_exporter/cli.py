"""The command ``nomad-exporter``."""

# Heavy modules are imported late, so that --help, --version, errors in settings and ``check`` are fast.

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from nomad_exporter import __version__
from nomad_exporter.cli_options import (
    CONTEXT,
    EPILOG,
    ERRORS,
    GroupedHelp,
    from_context,
    options,
    print_error,
    print_warnings,
)
from nomad_exporter.config import file as config_file
from nomad_exporter.config.load import check_credentials, load_config, locate
from nomad_exporter.config.model import Config, ConfigError
from nomad_exporter.nomad.agent import Agent

USAGE_ERROR = 2
INTERNAL_ERROR = 70


LIBRARY_VARIABLES = (
    *("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"),  # prometheus_client: a file for each metric
    *("PROMETHEUS_DISABLE_CREATED_SERIES", "PROMETHEUS_LEGACY_NAME_VALIDATION"),  # prometheus_client
    *("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"),  # uvicorn
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),  # requests
    "SSLKEYLOGFILE",  # urllib3: a file with the keys of all TLS connections
    "PYTHONASYNCIODEBUG",  # uvloop
)
"""Variables that libraries read, and that other software leaves in the environment of a pod or an image."""


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command that ``load`` imports when the command runs, and its line in the help."""

    load: Callable[[], click.Command]
    title: str


def _check() -> click.Command:
    from nomad_exporter.check.command import command

    return command()


def _demo() -> click.Command:
    from nomad_sim.command import command

    return command()


COMMANDS: Mapping[str, LazyCommand] = {
    "check": LazyCommand(_check, "Check agents once, without a running exporter."),
    "demo": LazyCommand(_demo, "Run a simulated cluster."),
}


def main() -> NoReturn:
    """Run the command and exit: 0 after a clean stop, 2 and one line on standard error if a setting is wrong."""
    _open_standard_streams()
    # Before the first library is imported: some read their variables at the import.
    for name in LIBRARY_VARIABLES:
        os.environ.pop(name, None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # SIGHUP would end the process; blocked, it waits until the exporter serves and can reload.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        code = _run(sys.argv[1:])
    except Exception as error:  # noqa: BLE001  # The outermost function: no traceback may reach a user.
        print_error(error)
        code = USAGE_ERROR if isinstance(error, ERRORS) else INTERNAL_ERROR
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    code: int = command().main([*arguments], prog_name="nomad-exporter", standalone_mode=False)
    return code


def command() -> click.Group:
    """Return the command of the exporter, with an option for every setting that may be on a command line."""
    check = click.Option(
        ["--config.check", "only_check"], is_flag=True, help="Check the settings and the credential files, and exit."
    )
    version = f"nomad-exporter, version {__version__} (python {platform.python_version()})"
    exporter = _Exporter(
        "nomad-exporter",
        callback=click.pass_context(_command),
        invoke_without_command=True,
        subcommand_metavar="".join(f"| {name} … " for name in COMMANDS).strip(),
        params=[*options(), check],
        help="Prometheus exporter and health bridge for HashiCorp Nomad agents.",
        epilog=EPILOG,
        context_settings=CONTEXT,
    )
    return click.version_option(__version__, message=version)(exporter)


class _Exporter(click.Group, GroupedHelp):
    """The exporter and its commands, which are imported when they run."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        return COMMANDS[name].load() if name in COMMANDS else None

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.title) for name, lazy in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the settings, or pass them to the command that follows them: a command reads its own settings."""
        try:
            _, rest, _ = self.make_parser(ctx).parse_args([*args])
        except click.NoSuchOption:
            rest = []
        if not rest:
            return super().parse_args(ctx, args)
        name, *arguments = rest
        return _COMMANDS_ONLY.parse_args(ctx, [name, *args[: len(args) - len(rest)], *arguments])


_COMMANDS_ONLY = click.Group("nomad-exporter")
"""A group that parses the name of a command and no settings."""


def _command(context: click.Context, only_check: bool = False, **_: Any) -> int:
    if context.invoked_subcommand:
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
    raw = from_context(context)
    # The node name is requested once, so that a reload does not rename the agent.
    load = partial(load_config, raw, socket.gethostname(), cache(_node_name))
    config = load()
    try:
        return _check_config(config, raw.file) if only_check else _run_exporter(config, load)
    except ConfigError as error:
        raise locate(error, raw, config_file.read(raw.file)) from None


def _check_config(config: Config, file: Path | None) -> int:
    check_credentials(config.agents, config_file.read(file).agents)
    print_warnings(config)
    click.echo(f"Configuration is valid: {_summary(config)}.")
    return 0


def _run_exporter(config: Config, load: Callable[[], Config]) -> int:
    from nomad_exporter.app import run

    return run(config, load)


def _node_name(agent: Agent) -> str:
    from nomad_exporter.nomad.naming import node_name

    return node_name(agent)


def _summary(config: Config) -> str:
    shown = [f"{agent.name} at {agent.address}" for agent in config.agents[:5]]
    more = len(config.agents) - len(shown)
    agents = ", ".join([*shown, *([f"{more} more"] if more else [])])
    return f"monitoring {agents}; serving on {', '.join(map(str, config.listen))}"


def _open_standard_streams() -> None:
    """Open the null device for each standard stream that the caller closed."""
    # Otherwise a socket would get the number of the closed stream, and prints would go into the socket.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _stop_early(_: int, __: FrameType | None) -> NoReturn:
    """Exit cleanly on a signal that arrives before the server handles signals."""
    sys.exit(0)
