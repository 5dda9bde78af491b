"""The settings as options of a command line, and what a command that has them was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from nomad_exporter.config.load import RawSettings
from nomad_exporter.config.parsers import masked
from nomad_exporter.config.settings import PREFIX, SETTINGS, Setting

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
"""How every command tells its help."""

_PUBLIC = {field: row for field, row in SETTINGS.items() if not row.secret}


def options(flags: Collection[str] = frozenset(_PUBLIC)) -> list[click.Parameter]:
    """An option for the file and for every setting that is no secret; only those in ``flags`` have a flag.

    The others are told by their variables and the file alone.
    """
    return [
        _file(),
        *(_option(field, row, click.Option if field in flags else EnvOnlyOption) for field, row in _PUBLIC.items()),
    ]


def from_context(context: click.Context) -> RawSettings:
    """What a command with these options was given."""
    sources = {field: context.get_parameter_source(field) for field in _PUBLIC}
    return RawSettings(
        values={field: context.params[field] for field in sources},
        flags=frozenset(field for field, source in sources.items() if source is ParameterSource.COMMANDLINE),
        defaults=frozenset(field for field, source in sources.items() if source is ParameterSource.DEFAULT),
        environment=dict(os.environ),
        file=context.params["file"],
    )


class EnvOnlyOption(click.Option):
    """A setting that is read as any other, but has no flag here."""

    def __init__(self, *arguments: Any, **rest: Any) -> None:
        super().__init__(*arguments, **rest)
        self.hidden = True

    def add_to_parser(self, *_: Any) -> None:
        """It is not added: a command line that has it is refused."""


class Value(click.ParamType):  # type: ignore[type-arg]  # only the newest click has it generic
    """A value that ``read`` reads; what is wrong is said in the reader's words."""

    def __init__(self, read: Callable[[str], Any], metavar: str) -> None:
        self.read = read
        self.name = metavar.lower()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(f"{masked(value)!r}: {error}", param, ctx)


def _option(field: str, row: Setting, kind: type[click.Option]) -> click.Option:
    default = f" [default: {row.default}]" if row.default else ""
    takes: dict[str, Any] = (
        {"is_flag": True} if row.switch else {"type": Value(row.read, row.metavar), "metavar": row.metavar}
    )
    return kind(
        [row.flag, field],
        default=False if row.switch else [row.default] if row.repeat else row.default,
        envvar=list(row.variables),
        multiple=row.repeat,
        help=row.help + default,
        **takes,
    )


def _file() -> click.Option:
    return click.Option(
        ["--config.file", "file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar=f"{PREFIX}CONFIG_FILE",
        help="YAML file with agents and settings.",
    )
