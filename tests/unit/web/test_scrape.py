"""``/metrics``: which series, in which format, compressed or not."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.render import Rendered, render_agent
from nomad_exporter.nomad.sources import SELF, SOURCES
from nomad_exporter.polling.store import Store
from nomad_exporter.server.http import HTTPError, Response
from nomad_exporter.web.scrape import accepts_gzip, preferred_format, scrape
from tests.support.pages import NOW, agent, get, recorded, site_of, store_of

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_WITH_NATIVE_HISTOGRAMS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "escaping=allow-utf-8;q=0.7," + PROMETHEUS_3
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def two_servers() -> Store[Rendered]:
    """Return a store of two agents, both polled successfully."""
    agents = (agent("a1"), agent("a2"))
    store = Store(agents, render_agent)
    for each in agents:
        for source in SOURCES:
            store.record(each, recorded(source, "2.0.5/healthy/s2-leader"))
    return store


def scraped(target: str = "/metrics", **headers: str) -> Response:
    return scrape(site_of(two_servers()), get(target, **headers), NOW)


def agents_on(response: Response) -> set[str]:
    return set(re.findall(r'\{agent="([^"]*)"', response.body.decode()))


def families_on(response: Response) -> set[str]:
    """Return the families on a page, by the parser of prometheus_client, which rejects a page with any wrong line."""
    read: Any = openmetrics if "openmetrics" in response.media_type else parser
    return {family.name for family in read.text_string_to_metric_families(response.body.decode())}


def exporter_series(response: Response) -> list[str]:
    return re.findall(r"^(?:process_|python_|nomad_exporter_build)\S+", response.body.decode(), re.MULTILINE)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param("", Format.TEXT, id="no-header"),
        pytest.param("*/*", Format.TEXT, id="curl"),
        pytest.param(BROWSER, Format.TEXT, id="browser"),
        pytest.param(PROMETHEUS_2, Format.OPENMETRICS, id="prometheus-2"),
        pytest.param(PROMETHEUS_3, Format.OPENMETRICS, id="prometheus-3"),
        pytest.param(PROMETHEUS_3_WITH_NATIVE_HISTOGRAMS, Format.OPENMETRICS, id="prometheus-3-native-histograms"),
        pytest.param("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format.TEXT, id="old-prometheus"),
        pytest.param("text/plain", Format.TEXT, id="text"),
        pytest.param(OPENMETRICS, Format.OPENMETRICS, id="openmetrics"),
        pytest.param(
            'APPLICATION/OpenMetrics-Text ; Version="1.0.0" ; Q=0.5', Format.OPENMETRICS, id="unusual-spelling"
        ),
        pytest.param("application/openmetrics-text;version=0.0.1", Format.TEXT, id="older-openmetrics"),
        pytest.param("application/openmetrics-text;version=2.0.0", Format.TEXT, id="newer-openmetrics"),
        pytest.param("application/openmetrics-text", Format.TEXT, id="openmetrics-without-version"),
        pytest.param(f"{OPENMETRICS};q=0.5,text/plain;version=0.0.4;q=0.4", Format.OPENMETRICS, id="openmetrics-first"),
        pytest.param(f"{OPENMETRICS};q=0.5,text/plain;version=0.0.4;q=0.5", Format.OPENMETRICS, id="equal-quality"),
        pytest.param(f"{OPENMETRICS};q=0.4,text/plain;version=0.0.4;q=0.5", Format.TEXT, id="text-first"),
        pytest.param(f"text/plain;q=0.5,{OPENMETRICS};q=0.4", Format.TEXT, id="text-of-any-version-first"),
        pytest.param(
            f"{OPENMETRICS};q=0.4,text/plain;version=1.0.0", Format.OPENMETRICS, id="text-1.0.0-is-not-offered"
        ),
        pytest.param(f"{OPENMETRICS};q=0", Format.TEXT, id="openmetrics-refused"),
        pytest.param(f"{OPENMETRICS};q=much", Format.TEXT, id="invalid-quality"),
        pytest.param(f"{OPENMETRICS};q=nan", Format.TEXT, id="nan-quality"),
        pytest.param(f"{OPENMETRICS};q=-1", Format.TEXT, id="negative-quality"),
        pytest.param(";,;=,q=,==;;\x00,é/*", Format.TEXT, id="garbage"),
    ],
)
def test_accept_header_selects_exposition_format(accept: str, expected: Format) -> None:
    assert preferred_format(accept) is expected


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        pytest.param("", False, id="no-header"),
        pytest.param("gzip", True, id="prometheus"),
        pytest.param("gzip, deflate, br, zstd", True, id="browser"),
        pytest.param("GZIP", True, id="capitals"),
        pytest.param("deflate;q=0.5, gzip;q=1.0", True, id="with-quality"),
        pytest.param("*", True, id="any"),
        pytest.param("identity", False, id="identity"),
        pytest.param("br", False, id="other"),
        pytest.param("gzip;q=0", False, id="refused"),
        pytest.param("gzip;q=0, *", False, id="any-but-gzip"),
        pytest.param("*;q=0", False, id="none"),
        pytest.param("identity, *;q=0", False, id="identity-alone"),
        pytest.param("gzip;q=x", False, id="garbage"),
    ],
)
def test_accept_encoding_header_selects_gzip(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted


def test_text_page_can_be_parsed() -> None:
    response = scraped()

    assert response.media_type == "text/plain; version=0.0.4; charset=utf-8"
    assert {
        "nomad_agent_up",
        "nomad_agent_raft_commit_index",
        "nomad_agent_members",
        "process_open_fds",
    } <= families_on(response)


def test_openmetrics_page_can_be_parsed() -> None:
    response = scraped(accept=PROMETHEUS_3)

    assert response.media_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert {
        "nomad_agent_up",
        "nomad_agent_raft_commit_index",
        "nomad_agent_members",
        "process_open_fds",
    } <= families_on(response)


def test_only_openmetrics_page_has_a_trailer() -> None:
    assert scraped(accept=OPENMETRICS).body.endswith(b"\n# EOF\n")
    assert b"# EOF" not in scraped().body


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
def test_page_has_no_duplicate_series(accept: str) -> None:
    series = re.findall(r"^([^#\n]+) \S+$", scraped(accept=accept).body.decode(), re.MULTILINE)

    assert len(series) == len(set(series)) > 100


def test_page_has_all_agents_and_the_exporter() -> None:
    response = scraped()

    assert agents_on(response) == {"a1", "a2"}
    assert exporter_series(response)


def test_page_of_one_agent_has_no_other_series() -> None:
    response = scraped("/metrics?agent=a2")

    assert agents_on(response) == {"a2"}
    assert exporter_series(response) == []


def test_page_of_several_agents_has_no_exporter_series() -> None:
    response = scraped("/metrics?agent=a1&agent=a2")

    assert agents_on(response) == {"a1", "a2"}
    assert exporter_series(response) == []


def test_openmetrics_page_of_one_agent_can_be_parsed() -> None:
    response = scraped("/metrics?agent=a2", accept=OPENMETRICS)

    assert "nomad_agent_up" in families_on(response)


def test_unknown_agent_is_404() -> None:
    with pytest.raises(HTTPError) as raised:
        scraped("/metrics?agent=b1")

    assert (raised.value.status_code, raised.value.detail) == (404, "unknown agent 'b1' (known: a1, a2)")


def test_compressed_page_is_the_same_page() -> None:
    plain, compressed = scraped("/metrics?agent=a1"), scraped("/metrics?agent=a1", accept_encoding="gzip")

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(compressed.body) == plain.body
    assert compressed.media_type == plain.media_type
    assert len(compressed.body) < len(plain.body) / 4


@pytest.mark.parametrize("accept_encoding", ["", "gzip"])
def test_vary_header_names_the_negotiated_headers(accept_encoding: str) -> None:
    assert scraped(accept_encoding=accept_encoding).headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(("after", "present"), [(45.0, True), (45.1, False)])
def test_values_disappear_after_max_age(after: float, present: bool) -> None:
    store = store_of(recorded(SELF, "2.0.5/healthy/s1-follower"))

    page = scrape(site_of(store), get("/metrics"), NOW + after).body

    assert (b"nomad_agent_raft_commit_index{" in page) is present
    assert b"nomad_agent_up{" in page


# Clusters.


def test_only_the_whole_page_has_clusters() -> None:
    assert "nomad_cluster_state" in families_on(scraped())
    assert "nomad_cluster_state" not in families_on(scraped("/metrics?agent=a1"))


def test_cluster_appears_when_all_its_agents_were_polled() -> None:
    store = two_servers()
    store.replace([agent("a1"), agent("a3")])
    assert "nomad_cluster_state" in families_on(scrape(site_of(store), get("/metrics"), NOW))

    unpolled = Store([agent("a1"), agent("a2")], render_agent)
    assert "nomad_cluster_state" not in families_on(scrape(site_of(unpolled), get("/metrics"), NOW))
