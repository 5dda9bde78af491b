"""Errors of the commands, each as one line on standard error."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import click

from nomad_exporter.config.model import ConfigError, DocumentError

ERRORS = (click.ClickException, ConfigError, DocumentError)
"""Exceptions for a wrong command line or a wrong setting."""


def print_error(error: Exception) -> None:
    """Print one line: the message of one of ``ERRORS``, or else the location of an internal error."""
    print(f"nomad-exporter: {' '.join(_describe(error).split())}", file=sys.stderr)


def _describe(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ERRORS):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error, please report it: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
