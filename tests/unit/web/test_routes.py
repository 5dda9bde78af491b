"""The routing table: every path that is served, and the responses to all others."""

from __future__ import annotations

import asyncio
import html
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

import pytest

from nomad_exporter.clock import Clock
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.nomad.sources import SOURCES
from nomad_exporter.polling.store import Store
from nomad_exporter.reloads import Reloads
from nomad_exporter.server.http import Message, Request, text
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web import routes
from nomad_exporter.web.routes import ROUTES, application
from nomad_exporter.web.site import ReloadError, Site
from tests.support.pages import NOW, get, handle, recorded, site_of, store_of

PATHS = sorted(route.path for route in ROUTES if "GET" in route.methods)


def healthy_store() -> Store[Rendered]:
    """Return a store with recent activity and one agent of which every poll succeeded."""
    store = store_of(*(recorded(source, "2.0.5/healthy/s2-leader") for source in SOURCES))
    store.record_activity(NOW)
    return store


SITE = site_of(healthy_store())


def test_paths_are_those_of_the_contract() -> None:
    verdicts = ["/health/live", "/health/ready", "/health/quorum"]

    assert sorted(route.path for route in ROUTES) == sorted(
        ["/", "/-/healthy", "/-/ready", "/-/reload", "/health", "/metrics", "/v1/agent/health", *verdicts]
    )


@pytest.mark.parametrize(
    ("path", "media_type", "excerpt"),
    [
        ("/", "text/plain", b"OK a1 ready: "),
        ("/metrics", "text/plain; version=0.0.4", b"nomad_agent_up{"),
        ("/health", "application/json", b'{"server":{"ok":true,"message":"ok"}}'),
        ("/v1/agent/health", "application/json", b'{"server":{"ok":true,"message":"ok"}}'),
        ("/health/live", "application/json", b'"ok": true'),
        ("/health/ready", "application/json", b'"ok": true'),
        ("/-/healthy", "text/plain", b"healthy\n"),
        ("/-/ready", "text/plain", b"ready\n"),
    ],
)
def test_every_path_returns_its_page(path: str, media_type: str, excerpt: bytes) -> None:
    response = handle(SITE, get(path), NOW)

    assert response.status_code == 200
    assert response.media_type.startswith(media_type)
    assert excerpt in response.body


@pytest.mark.parametrize("path", PATHS)
def test_head_is_handled_like_get(path: str) -> None:
    response = handle(SITE, Request("HEAD", path), NOW)

    expected = handle(SITE, get(path), NOW)
    assert (response.status_code, response.media_type) == (expected.status_code, expected.media_type)
    assert response.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"])
@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_405_with_the_allowed_ones(path: str, method: str) -> None:
    response = handle(SITE, Request(method, path), NOW)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["", "/metrics/", "/Metrics", "//metrics", "/favicon.ico", "/v1/agent/self", "*"])
def test_other_paths_are_404_for_any_method(path: str, method: str) -> None:
    known = ", ".join(route.path for route in ROUTES)

    assert handle(SITE, Request(method, path), NOW) == text(404, f"not found; paths: {known}")


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_query_with_too_many_parameters_is_400(path: str) -> None:
    query = "&".join(["agent=a1"] * 1002)

    assert handle(SITE, Request("GET", path, query), NOW) == text(
        400, "query must have at most 1001 parameters (got 1002)"
    )


def test_thresholds_of_the_site_limit_ages() -> None:
    strict = site_of(healthy_store(), Thresholds(max_age=10.0, health_interval=1.0))

    assert handle(strict, get("/health"), NOW + 3.0).status_code == 200
    assert handle(strict, get("/health"), NOW + 3.1).status_code == 503
    assert b"nomad_agent_leader{" in handle(strict, get("/metrics"), NOW + 10.0).body
    assert b"nomad_agent_leader{" not in handle(strict, get("/metrics"), NOW + 10.1).body


def test_every_link_of_the_status_page_works() -> None:
    page = handle(SITE, get("/", accept="text/html"), NOW).body.decode()
    links = [html.unescape(path) for path in re.findall(r'href="(/[^"]*)"', page)]

    agent_pages = ("/metrics", "/health", "/health/live", "/health/ready", "/health/quorum")
    assert links == ["/metrics", "/-/healthy", "/-/ready", *(f"{path}?agent=a1" for path in agent_pages)]
    assert {handle(SITE, get(path), NOW).status_code for path in links} == {200, 503}, (
        "a single server is not safe to stop"
    )


def site_with_reload(error: str = "") -> tuple[Site, list[str]]:
    """Return a site that can be reloaded, and the list of its reloads; with an ``error``, every reload fails."""
    reloads: list[str] = []

    def reload() -> None:
        reloads.append("reloaded")
        if error:
            raise ReloadError(error)

    return replace(SITE, reload=Reloads(reload).request), reloads


def test_post_reloads_if_enabled() -> None:
    site, reloads = site_with_reload()

    assert handle(site, Request("POST", "/-/reload"), NOW) == text(200, "reloaded")
    assert reloads == ["reloaded"]


def test_failed_reload_is_500_with_the_error() -> None:
    site, _ = site_with_reload("fleet.yml:3: agents[0].adress: unknown key")

    assert handle(site, Request("POST", "/-/reload"), NOW) == text(
        500, "reload failed, configuration unchanged: fleet.yml:3: agents[0].adress: unknown key"
    )


def test_reload_that_takes_long_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "RELOAD_SECONDS", 0.01)
    endless: Future[None] = Future()

    response = handle(replace(SITE, reload=lambda: endless), Request("POST", "/-/reload"), NOW)

    assert response.status_code == 503
    assert not endless.cancelled()


def test_reload_is_403_if_disabled() -> None:
    assert handle(SITE, Request("POST", "/-/reload"), NOW).status_code == 403


def test_get_does_not_reload() -> None:
    site, reloads = site_with_reload()
    response = handle(site, Request("GET", "/-/reload"), NOW)

    assert (response.status_code, response.headers["Allow"], reloads) == (405, "POST", [])


class ObservedStore(Store[Rendered]):
    """A store that records which threads read it, or raises an error."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__((), lambda *_: cast(Any, None))
        self.error = error
        self.readers: list[threading.Thread] = []

    def entries(self) -> Any:
        self.readers.append(threading.current_thread())
        if self.error:
            raise self.error
        return super().entries()


def status_codes(site: Callable[[], Site], *paths: str, clock: Clock = lambda: NOW) -> list[int]:
    """Return the status codes with which the application responds to requests for the paths, one after the other."""
    codes: list[int] = []

    async def send(message: Message) -> None:
        codes.extend([message["status"]] if "status" in message else [])

    async def request_all() -> None:
        app = application(site, clock)
        for path in paths:
            await app({"method": "GET", "path": path, "query_string": b"", "headers": []}, cast(Any, None), send)

    asyncio.run(request_all())
    return codes


@pytest.mark.parametrize(("path", "on_the_loop"), [("/metrics", False), ("/", False), ("/health", True)])
def test_blocking_pages_are_built_off_the_event_loop(path: str, on_the_loop: bool) -> None:
    store = ObservedStore()

    status_codes(lambda: site_of(store), path)

    assert {reader is threading.main_thread() for reader in store.readers} == {on_the_loop}


@pytest.mark.parametrize("error", [RuntimeError("hidden-1"), ValueError("a bug")], ids=["runtime-error", "value-error"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/health/ready"])
def test_exception_of_a_page_is_a_500_and_one_log_line(
    path: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "nomad_exporter"):
        assert status_codes(lambda: site_of(ObservedStore(error)), path) == [500]

    (line,) = caplog.records
    assert line.getMessage() == "request handler failed"
    assert vars(line)["fields"] == {"path": path, "error": type(error).__name__}


def test_clock_is_read_for_each_request() -> None:
    times = iter([NOW, NOW + 100.0])

    assert status_codes(lambda: SITE, "/health", "/health", clock=lambda: next(times)) == [200, 503]


def test_site_is_looked_up_for_each_request() -> None:
    sites = iter([SITE, site_of(store_of())])

    assert status_codes(lambda: next(sites), "/health", "/health") == [200, 503]


def test_unknown_agent_is_a_404_in_the_form_of_the_page() -> None:
    line = b"unknown agent 'b1' (known: a1)"
    responses = {path: handle(SITE, get(f"{path}?agent=b1"), NOW) for path in ("/", "/metrics", "/health/live")}

    assert {response.status_code for response in responses.values()} == {404}
    assert {response.body for response in responses.values()} == {line + b"\n"}
    assert handle(SITE, get("/health?agent=b1"), NOW).media_type == "application/json"
