"""HTTP requests and responses as values, and the messages of the ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, cast

import pytest

from nomad_exporter.server.http import HTML, TEXT, Message, Request, Response, request_response, text


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
    assert Request("GET", "/", query).query_params == parameters


def test_headers_have_type_and_length_and_forbid_caching() -> None:
    assert Response(200, "größe".encode()).all_headers == {
        "Content-Type": TEXT,
        "Cache-Control": "no-store",
        "Content-Length": "7",
    }


def test_with_header_returns_a_copy() -> None:
    response = Response(200, b"", HTML, {"Vary": "Accept"})

    more = response.with_header("Age", "3")

    assert (more.status_code, more.body, more.media_type) == (200, b"", HTML)
    assert more.headers == {"Vary": "Accept", "Age": "3"}
    assert response.headers == {"Vary": "Accept"}


def test_text_ends_with_a_line_feed() -> None:
    assert text(404, "not found") == Response(404, b"not found\n", "text/plain; charset=utf-8")


def exchange(
    response: Response, method: str = "GET", query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> tuple[Request, Message, Message]:
    """Return the request that a handler receives, and the two messages that send its response: start and body."""
    scope = {"type": "http", "method": method, "path": "/page", "query_string": query, "headers": [*headers]}
    received: list[Request] = []
    sent: list[Message] = []

    async def respond(request: Request) -> Response:
        received.append(request)
        return response

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(cast(Any, request_response(respond)(scope, cast(Any, None), send)))
    (request,), (head, body) = received, sent
    return request, head, body


def test_response_is_sent_as_start_and_body() -> None:
    _, head, body = exchange(text(200, "ready"))

    assert head == {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"6"),
        ],
    }
    assert body == {"type": "http.response.body", "body": b"ready\n"}


def test_head_gets_the_headers_of_get_without_body() -> None:
    _, head_of_get, body_of_get = exchange(text(404, "not found"), "GET")
    _, head, body = exchange(text(404, "not found"), "HEAD")

    assert body_of_get["body"]
    assert head == head_of_get
    assert body["body"] == b""


def test_request_is_read_from_the_scope() -> None:
    request, _, _ = exchange(text(200, ""), query=b"type=client", headers=[(b"accept", b"*/*"), (b"x-odd", b"\xff")])

    assert request == Request("GET", "/page", "type=client", {"accept": "*/*", "x-odd": "ÿ"})


def test_undecodable_query_is_accepted() -> None:
    request, _, _ = exchange(text(200, ""), query=b"agent=\xff\xfe")

    assert request.query_params == {"agent": ["ÿþ"]}


def test_repeated_headers_are_joined() -> None:
    request, _, _ = exchange(text(200, ""), headers=[(b"accept-encoding", b"gzip"), (b"accept-encoding", b"br")])

    assert request.headers == {"accept-encoding": "gzip, br"}


def test_exception_is_a_500_and_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []

    async def respond(_: Request) -> Response:
        raise RuntimeError("hidden-1")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"method": "GET", "path": "/page", "query_string": b"", "headers": []}
    with caplog.at_level(logging.ERROR, "nomad_exporter"):
        asyncio.run(cast(Any, request_response(respond)(scope, cast(Any, None), send)))

    head, body = sent
    assert (head["status"], body["body"]) == (500, b"internal error, see the log of the exporter\n")
    (line,) = caplog.records
    assert line.getMessage() == "request handler failed"
    assert vars(line)["fields"] == {"path": "/page", "error": "RuntimeError"}
