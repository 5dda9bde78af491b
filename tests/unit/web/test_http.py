"""HTTP requests and responses as values."""

from __future__ import annotations

import pytest

from nomad_exporter.web.http import HTML, TEXT, Request, Response, text


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        pytest.param("", {}, id="none"),
        pytest.param("agent=n1", {"agent": ["n1"]}, id="one"),
        pytest.param("agent=n1&agent=n2&type=client", {"agent": ["n1", "n2"], "type": ["client"]}, id="repeated"),
        pytest.param("stale", {"stale": [""]}, id="without-a-value"),
        pytest.param("stale=", {"stale": [""]}, id="empty"),
        pytest.param("agent=10.0.0.1%3A4646", {"agent": ["10.0.0.1:4646"]}, id="percent-encoded"),
        pytest.param("agent=my+agent", {"agent": ["my agent"]}, id="plus-is-a-space"),
        pytest.param("agent=gr%C3%B6%C3%9Fe", {"agent": ["größe"]}, id="utf-8"),
        pytest.param("agent=%FF", {"agent": ["\ufffd"]}, id="invalid-utf-8"),
        pytest.param("a=1;b=2", {"a": ["1;b=2"]}, id="semicolon-is-not-a-separator"),
    ],
)
def test_query_parameters_are_decoded(query: str, parameters: dict[str, list[str]]) -> None:
    assert Request("GET", "/", query).parameters == parameters


def test_headers_have_type_and_length_and_forbid_caching() -> None:
    assert Response(200, "größe".encode()).all_headers == {
        "Content-Type": TEXT,
        "Cache-Control": "no-store",
        "Content-Length": "7",
    }


def test_with_header_returns_a_copy() -> None:
    response = Response(200, b"", HTML, {"Vary": "Accept"})

    more = response.with_header("Age", "3")

    assert (more.status, more.body, more.content_type) == (200, b"", HTML)
    assert more.headers == {"Vary": "Accept", "Age": "3"}
    assert response.headers == {"Vary": "Accept"}


def test_text_ends_with_a_line_feed() -> None:
    assert text(404, "not found") == Response(404, b"not found\n", "text/plain; charset=utf-8")
