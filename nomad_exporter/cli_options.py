"""What the commands share: the settings as options, the values that a command received, and errors as one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from nomad_exporter.config import parsers
from nomad_exporter.config.load import RawSettings
from nomad_exporter.config.model import Config, ConfigError, DocumentError
from nomad_exporter.config.parsers import mask_password, refuse_placeholder
from nomad_exporter.config.settings import FILE_FLAG, FILE_VARIABLE, SECTIONS, SETTINGS, Setting

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
"""Context settings of the commands that have these options."""

EPILOG = """\
Every setting can also be set by an environment variable, such as --poll.timeout by NOMAD_EXPORTER_POLL_TIMEOUT.
Precedence: flag, NOMAD_EXPORTER_*, Nomad's own variable, configuration file, default. Nomad's own variables:
NOMAD_ADDR, NOMAD_TOKEN, NOMAD_HTTP_AUTH, NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY,
NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY.

Documentation: README.md and docs/ of the nomad-exporter source distribution."""
"""The end of the help of these commands."""

_GENERAL = "General"
_MAX_OPTION_WIDTH = 40

_PUBLIC = {field: setting for field, setting in SETTINGS.items() if not setting.secret}


# Options.


class GroupedHelp(click.Command):
    """A command whose help groups the options under the headings of their sections."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raises UsageError, which explains an option that does not exist."""
        given = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(_explain_unknown(error, given, self.get_params(ctx)), ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                groups.setdefault(_heading(parameter), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records, col_max=_MAX_OPTION_WIDTH)


_SECRET_FLAGS = {
    "--nomad.http-auth": "set NOMAD_HTTP_AUTH",
    "--nomad.token": "use --nomad.token-file, or set NOMAD_TOKEN",
    "--token": "use --nomad.token-file, or set NOMAD_TOKEN",
}
"""Flags that do not exist because their value is a secret, and what to use instead."""


def _explain_unknown(error: click.NoSuchOption, arguments: Sequence[str], known: Collection[click.Parameter]) -> str:
    """Return a message for an option that does not exist, without the value: it can be a secret."""
    # click reads -web.listen-address, as Go programs write it, as the options -w, -e, -b and so on.
    name = next((text for text in arguments if _is_go_flag(text, error.option_name)), error.option_name)
    name = name.partition("=")[0]
    flag = f"--{name.lstrip('-')}"
    if flag in _SECRET_FLAGS:
        return f"{name} does not exist, because other users can see the arguments of a process: {_SECRET_FLAGS[flag]}"
    named = [parameter for parameter in known if isinstance(parameter, click.Option) and not parameter.hidden]
    flags = [option for parameter in named for option in parameter.opts if option.startswith("--")]
    meant = [flag] if flag in flags else [other for other in flags if other.endswith(f".{flag[2:]}")]
    meant = meant or get_close_matches(flag.replace("_", "-"), flags, 2, 0.75)
    return f"No such option '{name}'." + (f" Did you mean {' or '.join(meant)}?" if meant else "")


def _is_go_flag(text: str, short: str) -> bool:
    return len(short) == 2 and text.startswith(short) and len(text) > 2


def _heading(parameter: click.Parameter) -> str:
    setting = SETTINGS.get(parameter.name or "")
    return SECTIONS[setting.section] if setting else _GENERAL


def options(flags: Collection[str] = frozenset(_PUBLIC)) -> list[click.Parameter]:
    """Return an option for every setting that is not a secret, and for the configuration file.

    Only the settings in ``flags`` have a flag; the others are read from the environment and the file.
    """
    return [
        *(_option(field, setting, field in flags) for field, setting in _PUBLIC.items()),
        click.Option(
            [FILE_FLAG, "file"],
            type=Value(parsers.path, "FILE"),
            metavar="FILE",
            envvar=[FILE_VARIABLE],
            help="YAML file with agents and settings.",
        ),
    ]


def from_context(context: click.Context) -> RawSettings:
    """Return the settings that a command with these options received."""
    sources = {field: context.get_parameter_source(field) for field in _PUBLIC}
    return RawSettings(
        values={field: context.params[field] for field in sources},
        flags=frozenset(field for field, source in sources.items() if source is ParameterSource.COMMANDLINE),
        defaults=frozenset(field for field, source in sources.items() if source is ParameterSource.DEFAULT),
        environment=dict(os.environ),
        file=context.params["file"],
        file_origin=_origin(next(param for param in context.command.params if param.name == "file"), context),
    )


def help_text(setting: Setting) -> str:
    """Return the help of a setting, with its default in brackets."""
    return f"{setting.help.removesuffix('.')} (default: {setting.default})." if setting.default else setting.help


class EnvOnlyOption(click.Option):
    """An option without a flag, which is set by its environment variables only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hidden = True

    def add_to_parser(self, *_: Any) -> None:
        """Add nothing, so that the flag is refused on a command line."""


class Value(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A value that ``parse`` parses. An error names the flag or the variable that holds the value."""

    def __init__(self, parse: Callable[[str], Any], metavar: str) -> None:
        self.parse = parse
        self.name = metavar.lower()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            refuse_placeholder(value)
            return self.parse(value)
        except ValueError as error:
            _refuse(value, str(error), param, ctx)


class Switch(click.types.BoolParamType):
    """The value of a switch. An error names the flag or the variable that holds the value."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        state = self.str_to_bool(value)
        return _refuse(value, "must be true or false", param, ctx) if state is None else state


def _refuse(value: str, problem: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
    raise click.UsageError(f"{_origin(param, ctx)} {problem} (got {mask_password(value)!r})", ctx)


def _origin(param: click.Parameter | None, ctx: click.Context | None) -> str:
    """Return the variable that set a parameter, or else its flag."""
    if param is None or ctx is None or param.name is None:
        return "value"
    if ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT:
        return next(name for name in param.envvar or () if os.environ.get(name))
    return param.opts[0]


def _option(field: str, setting: Setting, has_flag: bool) -> click.Option:
    kind = click.Option if has_flag else EnvOnlyOption
    value_type: dict[str, Any] = (
        {"is_flag": True, "type": Switch()}
        if setting.switch
        else {"type": Value(setting.parse, setting.metavar), "metavar": setting.metavar}
    )
    return kind(
        [setting.flag, field],
        default=False if setting.switch else [setting.default] if setting.repeat else setting.default,
        envvar=list(setting.variables),
        multiple=setting.repeat,
        help=help_text(setting),
        **value_type,
    )


# Errors.

ERRORS = (click.ClickException, ConfigError, DocumentError)
"""Exceptions for a wrong command line or a wrong setting."""


def print_error(error: Exception) -> None:
    """Print one line: the message of one of ``ERRORS``, or else the location of an internal error."""
    print(f"nomad-exporter: {' '.join(_describe(error).split())}", file=sys.stderr)


def print_warnings(config: Config) -> None:
    """Print one line for each warning, on standard error."""
    for warning in config.warnings:
        print(f"nomad-exporter: {warning}", file=sys.stderr)


def _describe(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ERRORS):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error, please report it: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
