"""Every path that is served, and what is answered to all others."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from nomad_exporter.metrics.render import Rendered
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.http import Request, text
from nomad_exporter.web.routes import ROUTES, Site, handle
from nomad_exporter.web.status import status
from tests.support.pages import NOW, get, store_of, told

PATHS = sorted(path for path, route in ROUTES.items() if "GET" in route.methods)


def well() -> Store[Rendered]:
    """A store whose only agent has answered everything, while the schedule beats."""
    store = store_of(*(told(source, "2.0.5/healthy/s2-leader") for source in Source))
    store.record_heartbeat(NOW)
    return store


SITE = Site(well(), SelfMetrics(), Thresholds())


def test_the_paths_are_those_of_the_contract() -> None:
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
def test_every_path_gives_its_page(path: str, content_type: str, excerpt: bytes) -> None:
    response = handle(SITE, get(path), NOW)

    assert response.status == 200
    assert response.content_type.startswith(content_type)
    assert excerpt in response.body


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_as_get_is(path: str) -> None:
    response = handle(SITE, Request("HEAD", path), NOW)

    expected = handle(SITE, get(path), NOW)
    assert (response.status, response.content_type) == (expected.status, expected.content_type)
    assert response.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"])
@pytest.mark.parametrize("path", PATHS)
def test_any_other_method_is_405_and_told_which_are_allowed(path: str, method: str) -> None:
    response = handle(SITE, Request(method, path), NOW)

    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["", "/metrics/", "/Metrics", "//metrics", "/favicon.ico", "/v1/agent/self", "*"])
def test_any_other_path_is_404_whatever_the_method(path: str, method: str) -> None:
    assert handle(SITE, Request(method, path), NOW) == text(404, "not found")


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_a_query_of_very_many_parameters_is_400(path: str) -> None:
    query = "&".join(["agent=a1"] * 1002)

    assert handle(SITE, Request("GET", path, query), NOW) == text(400, "the query has too many parameters")


def test_the_ages_that_the_site_was_told_are_kept_to() -> None:
    impatient = Site(well(), SelfMetrics(), Thresholds(max_age=10.0, health_interval=1.0))

    assert handle(impatient, get("/health"), NOW + 3.0).status == 200
    assert handle(impatient, get("/health"), NOW + 3.1).status == 503
    assert b"nomad_agent_leader{" in handle(impatient, get("/metrics"), NOW + 10.0).body
    assert b"nomad_agent_leader{" not in handle(impatient, get("/metrics"), NOW + 10.1).body


def test_every_link_of_the_status_page_leads_somewhere() -> None:
    page = status(SITE.store, get("/"), NOW, SITE.thresholds).body.decode()
    linked = [html.unescape(path) for path in re.findall(r'href="(/[^"]*)"', page)]

    of_an_agent = ("/metrics", "/health", "/health/live", "/health/ready", "/health/quorum")
    assert linked == ["/metrics", "/-/healthy", "/-/ready", *(f"{path}?agent=a1" for path in of_an_agent)]
    assert {handle(SITE, get(path), NOW).status for path in linked} == {200, 503}, "it is alone, and not safe to stop"


def reloading(fault: str | None) -> tuple[Site, list[str]]:
    """A site that may be reloaded, and the list of times that it was."""
    times: list[str] = []

    def reload() -> str | None:
        times.append("reloaded")
        return fault

    return replace(SITE, reload=reload), times


def test_a_post_reloads_where_that_is_allowed() -> None:
    site, times = reloading(None)

    assert handle(site, Request("POST", "/-/reload"), NOW) == text(200, "reloaded")
    assert times == ["reloaded"]


def test_a_reload_that_fails_says_why_and_that_nothing_has_changed() -> None:
    site, _ = reloading("fleet.yml:3: agents[0].adress: unknown key")

    assert handle(site, Request("POST", "/-/reload"), NOW) == text(
        500, "nothing has changed: fleet.yml:3: agents[0].adress: unknown key"
    )


def test_a_reload_is_forbidden_where_it_was_not_allowed() -> None:
    assert handle(SITE, Request("POST", "/-/reload"), NOW).status == 403


def test_looking_at_a_reload_does_not_reload() -> None:
    site, times = reloading(None)
    response = handle(site, Request("GET", "/-/reload"), NOW)

    assert (response.status, response.headers["Allow"], times) == (405, "POST", [])
