"""The command ``nomad-exporter``: reads the settings and starts the exporter. The heavy modules are imported last."""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
from types import FrameType
from typing import Any, NoReturn

import click

from nomad_exporter import __version__
from nomad_exporter.config.plan import ConfigError, Plan, plan
from nomad_exporter.config.settings import ROWS, Row, Settings
from nomad_exporter.config.values import masked

USAGE_ERROR = 2

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
    except click.ClickException as error:
        _fail(error.format_message())
    except ConfigError as error:
        _fail(str(error))
    sys.exit(code)


def command() -> click.Command:
    """The command, with an option for every setting that may stand on a command line."""
    options: list[click.Parameter] = [_option(field, row) for field, row in ROWS.items() if not row.secret]
    options.append(click.Option(["--config.check", "only_check"], is_flag=True, help="Check the settings and end."))
    version = f"nomad-exporter, version {__version__} (python {platform.python_version()})"
    made = click.Command(
        "nomad-exporter",
        callback=_command,
        params=options,
        help="Prometheus exporter and health bridge for HashiCorp Nomad agents.",
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    return click.version_option(__version__, message=version)(made)


def _command(only_check: bool, **given: Any) -> int:
    planned = plan(Settings(**given, **_secrets()), socket.gethostname())
    if only_check:
        from nomad_exporter.config.check import check

        check(planned.agents)
        click.echo(f"The settings are good: {_summary(planned)}.")
        return 0
    from nomad_exporter.app import run

    return run(planned)


def _summary(planned: Plan) -> str:
    agents = ", ".join(f"{agent.name} at {agent.address}" for agent in planned.agents)
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
    given = {field: os.environ.get(row.nomad) for field, row in ROWS.items() if row.secret}
    return {field: ROWS[field].read(text) if text else None for field, text in given.items()}


def _fail(line: str) -> NoReturn:
    print(f"nomad-exporter: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _stop_early(_: int, __: FrameType | None) -> NoReturn:
    """A stop before the server has taken over the signals."""
    sys.exit(0)
