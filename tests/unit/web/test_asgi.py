"""The site as an ASGI application: what goes over the wire."""

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
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.verdict import Thresholds
from nomad_exporter.web.asgi import Message, application
from nomad_exporter.web.routes import Site
from tests.support.pages import NOW, store_of, told


def site(store: Store[Rendered] | None = None) -> Site:
    well = store_of(*(told(source, "2.0.5/healthy/s2-leader") for source in Source))
    return Site(store or well, SelfMetrics(), Thresholds())


def exchange(
    served: Site, path: str, method: str = "GET", query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> tuple[Message, Message]:
    """The head and the body that are sent to a request."""
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": [*headers]}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(cast(Any, application(lambda: served, lambda: NOW)(scope, receive, send)))
    head, body = sent
    return head, body


def test_a_page_is_sent_as_a_head_and_a_body() -> None:
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
def test_head_is_sent_the_head_of_get_and_no_body(path: str) -> None:
    path, _, query = path.partition("?")

    head_of_get, body_of_get = exchange(site(), path, "GET", query.encode())
    head, body = exchange(site(), path, "HEAD", query.encode())

    assert body_of_get["body"]
    assert head == head_of_get
    assert body["body"] == b""


def test_the_query_is_read_from_the_wire() -> None:
    head, body = exchange(site(), "/health", query=b"type=client")

    assert (head["status"], body["body"]) == (500, b'{"client":{"ok":false,"message":"client not enabled"}}')


def test_bytes_of_no_alphabet_in_a_query_are_no_fault_of_ours() -> None:
    head, _ = exchange(site(), "/health", query=b"agent=\xff\xfe")

    assert head["status"] == 404


def test_the_headers_are_read_from_the_wire() -> None:
    head, body = exchange(site(), "/metrics", headers=[(b"accept-encoding", b"gzip"), (b"x-odd", b"\xff")])

    assert (b"content-encoding", b"gzip") in head["headers"]
    assert body["body"].startswith(b"\x1f\x8b")


class Watched(Store[Rendered]):
    """A store that notes which threads read it, or breaks under them."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__((), lambda *_: cast(Any, None))
        self.error = error
        self.readers: list[threading.Thread] = []

    def kept(self) -> Any:
        self.readers.append(threading.current_thread())
        if self.error:
            raise self.error
        return super().entries()


@pytest.mark.parametrize(("path", "on_the_loop"), [("/metrics", False), ("/", False), ("/health", True)])
def test_a_page_that_can_be_long_is_made_off_the_loop_so_that_no_probe_waits(path: str, on_the_loop: bool) -> None:
    store = Watched()

    exchange(site(store), path)

    assert {reader is threading.main_thread() for reader in store.readers} == {on_the_loop}


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_a_page_that_breaks_is_a_500_and_one_line_in_the_log(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "nomad_exporter"):
        head, body = exchange(site(Watched(RuntimeError("hidden-1"))), path)

    assert (head["status"], body["body"]) == (500, b"internal error; see the exporter's log\n")
    (line,) = caplog.records
    assert line.getMessage() == "a page broke"
    assert vars(line)["fields"] == {"path": path, "error": "RuntimeError"}


def test_the_instant_is_read_for_each_request() -> None:
    times = iter([NOW, NOW + 100.0])

    def clock() -> Instant:
        return next(times)

    served = application(site, clock)
    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    async def ask_twice() -> None:
        for _ in range(2):
            await served(
                {"method": "GET", "path": "/health", "query_string": b"", "headers": []}, cast(Any, None), send
            )

    asyncio.run(ask_twice())

    assert statuses == [200, 503]


def test_a_fault_of_ours_is_not_told_as_a_fault_of_the_query(caplog: pytest.LogCaptureFixture) -> None:
    head, _ = exchange(site(Watched(ValueError("a fault"))), "/")

    assert head["status"] == 500
    assert [line.getMessage() for line in caplog.records] == ["a page broke"]


def test_a_header_that_is_sent_twice_counts_twice() -> None:
    headers = [(b"accept-encoding", b"gzip"), (b"accept-encoding", b"br")]

    head, _ = exchange(site(), "/metrics", headers=headers)

    assert (b"content-encoding", b"gzip") in head["headers"]
