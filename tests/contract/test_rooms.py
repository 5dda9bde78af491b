"""The floor plan: which room may know which, and who alone knows each library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nomad_exporter

PACKAGE = Path(nomad_exporter.__file__).parent

MAY_KNOW = {
    "clock": set(),
    "logs": set(),
    "nomad": set(),
    "serving": set(),
    "config": {"judge", "logs", "nomad", "serving"},
    "watch": {"clock", "nomad"},
    "judge": {"clock", "nomad", "watch"},
    "metrics": {"clock", "judge", "nomad", "watch"},
    "web": {"clock", "judge", "metrics", "nomad", "watch"},
    "demo": {"clock", "logs", "serving"},
    "app": {"clock", "config", "logs", "metrics", "nomad", "serving", "watch", "web"},
    "options": {"config"},
    "check": {"clock", "config", "judge", "nomad", "options", "watch"},
    "cli": {"app", "check", "config", "demo", "nomad", "options"},
    "__main__": {"cli"},
}
"""The arrows of the plan; every room may know itself and the version."""

ALONE_KNOW = {
    "requests": {"nomad/transport.py", "nomad/causes.py"},
    "urllib3": {"nomad/transport.py", "nomad/causes.py", "nomad/sockets.py"},
    "msgspec": {
        "nomad/parts.py",
        "nomad/decode_self.py",
        "nomad/decode_members.py",
        "nomad/decode_health.py",
        "nomad/decode_autopilot.py",
    },
    "apscheduler": {"watch/schedule.py"},
    "prometheus_client": {"metrics/ourselves.py"},
    "uvicorn": {"serving/door.py", "serving/server.py"},
    "uvloop": {"serving/server.py"},
    "click": {"cli.py", "options.py", "check/command.py", "demo/command.py"},
    "yaml": {"config/document.py"},
}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(dotted: str) -> str:
    return dotted.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_arrow_turns_back(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    known = {room(found) for found in imports(path) if found.startswith("nomad_exporter.")} - {"__version__", own}

    assert known <= MAY_KNOW[own]


@pytest.mark.parametrize("library", ALONE_KNOW)
def test_a_library_is_known_where_the_plan_says_and_nowhere_else(library: str) -> None:
    knowing = {name(path) for path in MODULES if any(found.split(".")[0] == library for found in imports(path))}

    assert knowing == ALONE_KNOW[library]


def test_a_page_never_sees_the_wire() -> None:
    wire = {
        "nomad_exporter.nomad.transport",
        "nomad_exporter.nomad.causes",
        "nomad_exporter.nomad.sockets",
        "nomad_exporter.nomad.tls",
    }
    pages = [path for path in MODULES if path.is_relative_to(PACKAGE / "web")]

    assert not {found.rpartition(".")[0] for path in pages for found in imports(path)} & wire
