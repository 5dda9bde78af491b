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
    line = format_error(error) if isinstance(error, ERRORS) else _internal_error(error)
    print(f"nomad-exporter: {' '.join(line.split())}", file=sys.stderr)


def format_error(error: Exception) -> str:
    """Return the message of one of ``ERRORS``."""
    return error.format_message() if isinstance(error, click.ClickException) else str(error)


def _internal_error(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error, please report it: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
