"""The decoders of all sources."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nomad_exporter

MODULES = sorted(Path(nomad_exporter.__file__).parent.rglob("*.py"))

FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
from nomad_exporter.nomad.sources import HEALTH
from nomad_exporter.nomad.sources.source import Reply

barrier = threading.Barrier(16)

def decode():
    barrier.wait()
    HEALTH.read(Reply(200, b'{"server": {"ok": true, "message": "ok"}}'))

threads = [threading.Thread(target=decode) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_may_decode_for_the_first_time_together() -> None:
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", FIRST_USE], check=False).returncode == 0


# The crash above is rare, so the rule is checked too: a decoder that is built at import is safe.
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_types_are_decoded_by_decoders_built_at_import(module: Path) -> None:
    assert not re.search(r"json\.decode\(.*type=|^[ ]+.*\bDecoder\(", module.read_text(), re.MULTILINE)
