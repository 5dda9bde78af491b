"""The floor plan: which room may know which, and who alone knows each library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nomad_exporter
import nomad_sim

PACKAGE = Path(nomad_exporter.__file__).parent
SIMULATOR = Path(nomad_sim.__file__).parent

MAY_KNOW = {
    "clock": set(),
    "logs": set(),
    "nomad": set(),
    "server": set(),
    "config": {"judge", "logs", "nomad", "server"},
    "watch": {"clock", "nomad"},
    "judge": {"clock", "nomad", "watch"},
    "metrics": {"clock", "judge", "nomad", "watch"},
    "web": {"clock", "judge", "metrics", "nomad", "server", "watch"},
    "app": {"clock", "config", "logs", "metrics", "nomad", "server", "watch", "web"},
    "options": {"config"},
    "check": {"clock", "config", "judge", "nomad", "options", "watch"},
    "cli": {"app", "check", "config", "nomad", "options"},
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
    "uvicorn": {"server/uvicorn.py"},
    "uvloop": {"server/uvicorn.py"},
    "click": {"cli.py", "options.py", "check/command.py"},
    "yaml": {"config/document.py"},
}

SIMULATOR_ONLY = {
    "click": {"command.py"},
    "cryptography": {"certificates.py"},
    "uvicorn": {"listener.py"},
    "uvloop": {"signals.py"},
}
"""Third-party libraries of the simulator, and the modules that import them."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
SIMULATOR_MODULES = sorted(SIMULATOR.rglob("*.py"))


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


def test_pages_know_requests_and_responses_but_no_socket() -> None:
    known = {found.rpartition(".")[0] for path in MODULES if path.parent.name == "web" for found in imports(path)}

    assert {found for found in known if found.startswith("nomad_exporter.server")} == {"nomad_exporter.server.http"}


def test_only_the_demo_command_imports_the_simulator() -> None:
    importing = {name(path) for path in MODULES if any(found.startswith("nomad_sim") for found in imports(path))}

    assert importing == {"cli.py"}


def test_exporter_starts_without_the_simulator() -> None:
    program = "import sys, nomad_exporter.cli; sys.exit(any(name.startswith('nomad_sim') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("path", SIMULATOR_MODULES, ids=lambda path: path.relative_to(SIMULATOR).as_posix())
def test_simulator_imports_nothing_of_the_exporter(path: Path) -> None:
    assert not [found for found in imports(path) if found.startswith("nomad_exporter")]


def test_simulator_libraries_are_imported_as_planned() -> None:
    importing = {
        library: {
            path.relative_to(SIMULATOR).as_posix()
            for path in SIMULATOR_MODULES
            if any(found.split(".")[0] == library for found in imports(path))
        }
        for library in ALONE_KNOW | SIMULATOR_ONLY
    }

    assert {library: found for library, found in importing.items() if found} == SIMULATOR_ONLY
