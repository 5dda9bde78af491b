"""The routing table: every path that is served, and the responses to all others."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from nomad_exporter.metrics.render import Rendered
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.sources import SOURCES
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import Request, text
from nomad_exporter.web.routes import ROUTES, ReloadError, Site, handle
from nomad_exporter.web.status import status
from tests.support.pages import NOW, get, recorded, store_of

PATHS = sorted(path for path, route in ROUTES.items() if "GET" in route.methods)


def healthy_store() -> Store[Rendered]:
    """Return a store with a heartbeat and one agent of which every poll succeeded."""
    store = store_of(*(recorded(source, "2.0.5/healthy/s2-leader") for source in SOURCES))
    store.record_heartbeat(NOW)
    return store


SITE = Site(healthy_store(), SelfMetrics(), Thresholds())


def test_paths_are_those_of_the_contract() -> None:
    verdicts = ["/health/live", "/health/ready", "/health/quorum"]

    assert sorted(ROUTES) == sorted(
        ["/", "/-/healthy", "/-/ready", "/-/reload", "/health", "/metrics", "/v1/agent/health", *verdicts]
    )


@pytest.mark.parametrize(
    ("path", "content_type", "excerpt"),
    [
        ("/", "text/html", b"<h1>nomad-exporter</h1>"),
        ("/metrics", "text/plain; version=0.0.4", b"nomad_agent_up{"),
        ("/health", "application/json", b'{"server":{"ok":true,"message":"ok"}}'),
        ("/v1/agent/health", "application/json", b'{"server":{"ok":true,"message":"ok"}}'),
        ("/health/live", "application/json", b'"ok": true'),
        ("/health/ready", "application/json", b'"ok": true'),
        ("/-/healthy", "text/plain", b"healthy\n"),
        ("/-/ready", "text/plain", b"ready\n"),
    ],
)
def test_every_path_returns_its_page(path: str, content_type: str, excerpt: bytes) -> None:
    response = handle(SITE, get(path), NOW)

    assert response.status == 200
    assert response.content_type.startswith(content_type)
    assert excerpt in response.body


@pytest.mark.parametrize("path", PATHS)
def test_head_is_handled_like_get(path: str) -> None:
    response = handle(SITE, Request("HEAD", path), NOW)

    expected = handle(SITE, get(path), NOW)
    assert (response.status, response.content_type) == (expected.status, expected.content_type)
    assert response.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"])
@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_405_with_the_allowed_ones(path: str, method: str) -> None:
    response = handle(SITE, Request(method, path), NOW)

    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["", "/metrics/", "/Metrics", "//metrics", "/favicon.ico", "/v1/agent/self", "*"])
def test_other_paths_are_404_for_any_method(path: str, method: str) -> None:
    assert handle(SITE, Request(method, path), NOW) == text(404, "not found")


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_query_with_too_many_parameters_is_400(path: str) -> None:
    query = "&".join(["agent=a1"] * 1002)

    assert handle(SITE, Request("GET", path, query), NOW) == text(
        400, "query must have at most 1001 parameters (got 1002)"
    )


def test_thresholds_of_the_site_limit_ages() -> None:
    strict = Site(healthy_store(), SelfMetrics(), Thresholds(max_age=10.0, health_interval=1.0))

    assert handle(strict, get("/health"), NOW + 3.0).status == 200
    assert handle(strict, get("/health"), NOW + 3.1).status == 503
    assert b"nomad_agent_leader{" in handle(strict, get("/metrics"), NOW + 10.0).body
    assert b"nomad_agent_leader{" not in handle(strict, get("/metrics"), NOW + 10.1).body


def test_every_link_of_the_status_page_works() -> None:
    page = status(SITE.store, get("/"), NOW, SITE.thresholds).body.decode()
    links = [html.unescape(path) for path in re.findall(r'href="(/[^"]*)"', page)]

    agent_pages = ("/metrics", "/health", "/health/live", "/health/ready", "/health/quorum")
    assert links == ["/metrics", "/-/healthy", "/-/ready", *(f"{path}?agent=a1" for path in agent_pages)]
    assert {handle(SITE, get(path), NOW).status for path in links} == {200, 503}, "a single server is not safe to stop"


def site_with_reload(error: str = "") -> tuple[Site, list[str]]:
    """Return a site that can be reloaded, and the list of its reloads; with an ``error``, every reload fails."""
    reloads: list[str] = []

    def reload() -> None:
        reloads.append("reloaded")
        if error:
            raise ReloadError(error)

    return replace(SITE, reload=reload), reloads


def test_post_reloads_if_enabled() -> None:
    site, reloads = site_with_reload()

    assert handle(site, Request("POST", "/-/reload"), NOW) == text(200, "reloaded")
    assert reloads == ["reloaded"]


def test_failed_reload_is_500_with_the_error() -> None:
    site, _ = site_with_reload("fleet.yml:3: agents[0].adress: unknown key")

    assert handle(site, Request("POST", "/-/reload"), NOW) == text(
        500, "reload failed, configuration unchanged: fleet.yml:3: agents[0].adress: unknown key"
    )


def test_reload_is_403_if_disabled() -> None:
    assert handle(SITE, Request("POST", "/-/reload"), NOW).status == 403


def test_get_does_not_reload() -> None:
    site, reloads = site_with_reload()
    response = handle(site, Request("GET", "/-/reload"), NOW)

    assert (response.status, response.headers["Allow"], reloads) == (405, "POST", [])
