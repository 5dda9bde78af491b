"""What a start imports; the rules between modules are contracts of import-linter in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["nomad_sim", "trustme", "requests", "uvicorn", "apscheduler", "prometheus_client"])
def test_command_line_loads_without(package: str) -> None:
    program = f"import sys, nomad_exporter.cli; sys.exit({package!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
