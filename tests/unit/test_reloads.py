"""Reloads: one at a time, off the thread that requests them, and once for requests that wait together."""

from __future__ import annotations

import threading

import pytest

from nomad_exporter.reloads import Reloads
from tests.support.waiting import PATIENCE, eventually


class Reload:
    """A reload that blocks until the test releases it, and counts its runs."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.runs, self.released = error, 0, threading.Event()

    def __call__(self) -> None:
        self.runs += 1
        assert self.released.wait(PATIENCE)
        if self.error:
            raise self.error


def test_request_does_not_wait_for_the_reload() -> None:
    reload = Reload()
    request = Reloads(reload).request()

    assert not request.done()
    reload.released.set()
    assert request.result(PATIENCE) is None


def test_requests_during_a_reload_share_the_next_one() -> None:
    reload = Reload()
    reloads = Reloads(reload)
    first = reloads.request()
    eventually(lambda: reload.runs == 1)
    others = [reloads.request() for _ in range(5)]
    reload.released.set()

    for request in (first, *others):
        request.result(PATIENCE)
    assert reload.runs == 2


def test_request_has_the_exception_of_its_reload() -> None:
    reload = Reload(ValueError("wrong setting"))
    reload.released.set()

    with pytest.raises(ValueError, match="wrong setting"):
        Reloads(reload).request().result(PATIENCE)


def test_reload_follows_a_failed_one() -> None:
    reload = Reload(ValueError("wrong setting"))
    reload.released.set()
    reloads = Reloads(reload)
    assert reloads.request().exception(PATIENCE)
    reload.error = None

    assert reloads.request().result(PATIENCE) is None
