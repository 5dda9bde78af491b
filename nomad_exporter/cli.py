"""The command ``nomad-exporter``: reads the settings and starts the exporter. The heavy modules are imported last."""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from nomad_exporter import __version__
from nomad_exporter.config import file as config_file
from nomad_exporter.config.document import DocumentError
from nomad_exporter.config.file import File
from nomad_exporter.config.plan import ConfigError, Plan, agent, plan
from nomad_exporter.config.settings import AGENT, PREFIX, ROWS, TASK_ADDRESS, Row, Settings
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
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
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
    made = click.Command(
        "nomad-exporter",
        callback=click.pass_context(_command),
        params=[file, *options, check],
        help="Prometheus exporter and health bridge for HashiCorp Nomad agents.",
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    return click.version_option(__version__, message=version)(made)


def _command(context: click.Context, only_check: bool, **_: Any) -> int:
    planned = _plan(context)
    if only_check:
        from nomad_exporter.config.check import check

        check(planned.agents)
        click.echo(f"The settings are good: {_summary(planned)}.")
        return 0
    from nomad_exporter.app import run

    return run(planned, lambda: _plan_or_fault(context))


def _plan(context: click.Context) -> Plan:
    """The plan that flags, environment and file make; the file is read anew at each call. Raises one of ``ERRORS``."""
    path = context.params["file"]
    file = config_file.read(path) if path else File({}, {}, None)
    settings = Settings(**_given(context, file), **_secrets())
    host_name = socket.gethostname()
    try:
        if file.agents is None:
            return plan(settings, (_the_one_agent(context, settings, host_name),))
        return plan(settings, config_file.agents(file.agents, settings, host_name), tuple(_ignored(context)))
    except ConfigError as error:
        raise file.locate(error) from None


def _the_one_agent(context: click.Context, settings: Settings, host_name: str) -> Agent:
    """The agent of the settings; inside a task of Nomad's, where nothing else is told, that of the task's own node."""
    watched = agent(settings, host_name)
    variables = [name for name in ROWS["address"].variables if os.environ.get(name)]
    told = context.get_parameter_source("address") is ParameterSource.COMMANDLINE or variables[:1] != [TASK_ADDRESS]
    return watched if told else _in_task(context, watched, settings.agent_name)


def _in_task(context: click.Context, watched: Agent, name: str | None) -> Agent:
    """With the token that Nomad renews, which wins over the fixed one, and the name of the node.

    The name is asked for once: a series must not change its name while the exporter runs.
    """
    from nomad_exporter.nomad.naming import node_name

    token_file = Path(os.environ.get("NOMAD_SECRETS_DIR", "")) / "nomad_token"
    if watched.credentials.token_file is None and token_file.is_file():
        watched = replace(watched, credentials=replace(watched.credentials, token_file=token_file))
    if name:
        return watched
    if context.obj is None:
        context.obj = node_name(watched) or watched.name
    return replace(watched, name=context.obj)


def _plan_or_fault(context: click.Context) -> Plan | str:
    """The plan as it is now, or in one line why there is none."""
    try:
        return _plan(context)
    except ERRORS as error:
        return told(error)


def _given(context: click.Context, file: File) -> dict[str, Any]:
    """The value of every setting but the secrets: a flag's, else a variable's, else the file's, else the default."""
    fields = [field for field, row in ROWS.items() if not row.secret]
    from_file = {field for field in fields if context.get_parameter_source(field) is ParameterSource.DEFAULT}
    return {
        field: file.settings[field] if field in from_file & file.settings.keys() else context.params[field]
        for field in fields
    }


def _ignored(context: click.Context) -> Iterator[str]:
    """A warning for each setting of the one agent that is given beside a file that lists agents."""
    for field, row in ROWS.items():
        variables = [name for name in row.variables if os.environ.get(name)]
        source = None if row.secret else context.get_parameter_source(field)
        if row.section == AGENT and (source is ParameterSource.COMMANDLINE or variables):
            name = row.flag if source is ParameterSource.COMMANDLINE else variables[0]
            yield f"{name} is ignored: the file lists the agents"


def _summary(planned: Plan) -> str:
    shown = [f"{agent.name} at {agent.address}" for agent in planned.agents[:5]]
    more = len(planned.agents) - len(shown)
    agents = ", ".join([*shown, *([f"{more} more"] if more else [])])
    return f"watching {agents}; serving on {', '.join(map(str, planned.listen))}"


class _Value(click.ParamType[Any]):
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


def _secrets() -> dict[str, Any]:
    """The settings that only the environment may give."""
    given = {field: os.environ.get(name) for field, row in ROWS.items() if row.secret for name in row.nomad}
    return {field: ROWS[field].read(text) if text else None for field, text in given.items()}


def _fail(line: str, code: int) -> NoReturn:
    print(f"nomad-exporter: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _stop_early(_: int, __: FrameType | None) -> NoReturn:
    """A stop before the server has taken over the signals."""
    sys.exit(0)
