"""The ASGI application: the messages it sends, and where it builds the responses."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from typing import Any, cast

import pytest

from nomad_exporter.clock import Instant
from nomad_exporter.metrics.render import Rendered
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.sources import SOURCES
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.asgi import Message, application
from nomad_exporter.web.routes import Site
from tests.support.pages import NOW, recorded, store_of


def site(store: Store[Rendered] | None = None) -> Site:
    healthy = store_of(*(recorded(source, "2.0.5/healthy/s2-leader") for source in SOURCES))
    return Site(store or healthy, SelfMetrics(), Thresholds())


def exchange(
    served: Site, path: str, method: str = "GET", query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> tuple[Message, Message]:
    """Return the two messages sent in response to a request: start and body."""
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": [*headers]}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(cast(Any, application(lambda: served, lambda: NOW)(scope, receive, send)))
    head, body = sent
    return head, body


def test_response_is_sent_as_start_and_body() -> None:
    head, body = exchange(site(), "/-/ready")

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


@pytest.mark.parametrize("path", ["/", "/metrics?agent=a1", "/health", "/-/ready", "/nowhere"])
def test_head_gets_the_headers_of_get_without_body(path: str) -> None:
    path, _, query = path.partition("?")

    head_of_get, body_of_get = exchange(site(), path, "GET", query.encode())
    head, body = exchange(site(), path, "HEAD", query.encode())

    assert body_of_get["body"]
    assert head == head_of_get
    assert body["body"] == b""


def test_query_is_read_from_the_scope() -> None:
    head, body = exchange(site(), "/health", query=b"type=client")

    assert (head["status"], body["body"]) == (500, b'{"client":{"ok":false,"message":"client not enabled"}}')


def test_undecodable_query_is_404() -> None:
    head, _ = exchange(site(), "/health", query=b"agent=\xff\xfe")

    assert head["status"] == 404


def test_headers_are_read_from_the_scope() -> None:
    head, body = exchange(site(), "/metrics", headers=[(b"accept-encoding", b"gzip"), (b"x-odd", b"\xff")])

    assert (b"content-encoding", b"gzip") in head["headers"]
    assert body["body"].startswith(b"\x1f\x8b")


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


@pytest.mark.parametrize(("path", "on_the_loop"), [("/metrics", False), ("/", False), ("/health", True)])
def test_slow_pages_are_built_off_the_event_loop(path: str, on_the_loop: bool) -> None:
    store = ObservedStore()

    exchange(site(store), path)

    assert {reader is threading.main_thread() for reader in store.readers} == {on_the_loop}


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_exception_is_a_500_and_one_log_line(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "nomad_exporter"):
        head, body = exchange(site(ObservedStore(RuntimeError("hidden-1"))), path)

    assert (head["status"], body["body"]) == (500, b"internal error, see the log of the exporter\n")
    (line,) = caplog.records
    assert line.getMessage() == "request handler failed"
    assert vars(line)["fields"] == {"path": path, "error": "RuntimeError"}


def test_clock_is_read_for_each_request() -> None:
    times = iter([NOW, NOW + 100.0])

    def clock() -> Instant:
        return next(times)

    app = application(site, clock)
    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    async def request_twice() -> None:
        for _ in range(2):
            await app({"method": "GET", "path": "/health", "query_string": b"", "headers": []}, cast(Any, None), send)

    asyncio.run(request_twice())

    assert statuses == [200, 503]


def test_value_error_of_a_page_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    head, _ = exchange(site(ObservedStore(ValueError("a bug"))), "/")

    assert head["status"] == 500
    assert [line.getMessage() for line in caplog.records] == ["request handler failed"]


def test_repeated_headers_are_joined() -> None:
    headers = [(b"accept-encoding", b"gzip"), (b"accept-encoding", b"br")]

    head, _ = exchange(site(), "/metrics", headers=headers)

    assert (b"content-encoding", b"gzip") in head["headers"]
