"""Listeners on real sockets and both event loops: start, stop, limits, timeouts and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import http.client
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import uvloop

from nomad_sim import listener as listener_module
from nomad_sim.asgi import Message, Receive, Send
from nomad_sim.certificates import server_context
from nomad_sim.listener import HANDSHAKE_SECONDS, HTTP_TO_TLS_PORT, TOO_MANY_CONNECTIONS, Listener
from nomad_sim.setup import Tls
from nomad_sim.sockets import ListenError, listen
from tests.support.event_loop import EventLoop, running_loop
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow  # Real sockets and timeouts.

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


class Agent:
    """An application that responds, never responds (``/pending``), or responds without end (``/endless``).

    A cancelled request ends after some iterations of the event loop.
    """

    def __init__(self) -> None:
        self.started = threading.Event()
        self.ended = threading.Event()

    async def __call__(self, scope: Message, _: Receive, send: Send) -> None:
        self.started.set()
        try:
            if scope["path"] == "/pending":
                await asyncio.Event().wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while scope["path"] == "/endless":
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"response"})
        finally:
            for _iteration in range(10):
                await asyncio.sleep(0)
            self.ended.set()


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def event_loop(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[EventLoop]:
    """Run an event loop in a thread, and fail if it logs a warning."""
    with running_loop(request.param) as event_loop:
        yield event_loop
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def connect(listener: Listener, *payload: bytes, host: str = "127.0.0.1") -> socket.socket:
    """Connect from ``host`` and send the payload."""
    connection = socket.create_connection(("127.0.0.1", listener.address.port), PATIENCE, (host, 0))
    for part in payload:
        connection.sendall(part)
    return connection


def url(listener: Listener, path: str = "/", scheme: str = "http") -> str:
    return f"{scheme}://{listener.address}{path}"


def read_to_the_end(connection: socket.socket) -> bytes:
    """Return the data until the connection is closed or reset."""
    read = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            read += part
    return bytes(read)


def response_on(connection: socket.socket) -> bytes:
    connection.sendall(REQUEST % b"/")
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return response.read()


def is_refused(listener: Listener) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", listener.address.port)) == errno.ECONNREFUSED


def test_listener_serves_application(event_loop: EventLoop) -> None:
    assert requests.get(url(event_loop.start_listener(Agent())), timeout=PATIENCE).text == "response"


def test_each_listener_serves_its_own_application(event_loop: EventLoop) -> None:
    first, second = Agent(), Agent()
    event_loop.start_listener(first)

    requests.get(url(event_loop.start_listener(second)), timeout=PATIENCE)

    assert (first.started.is_set(), second.started.is_set()) == (False, True)


def test_no_headers_are_added(event_loop: EventLoop) -> None:
    response = requests.get(url(event_loop.start_listener(Agent())), timeout=PATIENCE)

    assert dict(response.headers) == {"transfer-encoding": "chunked"}


def test_connection_serves_many_requests(event_loop: EventLoop) -> None:
    with connect(event_loop.start_listener(Agent())) as connection:
        assert [response_on(connection), response_on(connection)] == [b"response", b"response"]


def test_address_in_use_is_an_error(event_loop: EventLoop) -> None:
    used = event_loop.start_listener(Agent())

    with pytest.raises(ListenError, match="Address already in use"):
        event_loop.start_listener(Agent(), address=used.address)


def test_start_is_idempotent(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    address = listener.address

    event_loop.do(listener.start())

    assert listener.address == address
    assert requests.get(url(listener), timeout=PATIENCE).text == "response"


def test_stop_is_idempotent(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())

    event_loop.stop_listener(listener)
    event_loop.stop_listener(listener)

    assert is_refused(listener)


def test_restarted_listener_keeps_its_address(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    before = listener.address

    event_loop.stop_listener(listener)
    assert is_refused(listener)
    event_loop.do(listener.start())

    assert listener.address == before
    assert requests.get(url(listener), timeout=PATIENCE).text == "response"


@pytest.mark.parametrize("payload", [b"", b"GET / HT", REQUEST % b"/pending", REQUEST % b"/endless"])
def test_stop_aborts_connections(payload: bytes, event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    with connect(listener) as connection:
        response_on(connection)
        connection.sendall(payload)

        event_loop.stop_listener(listener)
        rest = read_to_the_end(connection)

    assert b"response" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


def test_listener_can_stop_while_clients_connect(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    for _ in range(100):
        with connect(listener), connect(listener, REQUEST % b"/pending"):
            event_loop.stop_listener(listener)
        event_loop.do(listener.start())


@pytest.mark.parametrize("path", [b"/pending", b"/endless"])
def test_stop_ends_requests(path: bytes, event_loop: EventLoop) -> None:
    agent = Agent()
    listener = event_loop.start_listener(agent)
    with connect(listener, REQUEST % path):
        assert agent.started.wait(PATIENCE)

        event_loop.stop_listener(listener)

        assert agent.ended.is_set()


@pytest.mark.parametrize("path", [b"/pending", b"/endless"])
def test_request_ends_when_client_disconnects(path: bytes, event_loop: EventLoop) -> None:
    agent = Agent()
    with connect(event_loop.start_listener(agent), REQUEST % path):
        assert agent.started.wait(PATIENCE)
        assert not agent.ended.is_set()

    assert agent.ended.wait(PATIENCE)


def test_pending_request_sends_nothing(event_loop: EventLoop) -> None:
    with pytest.raises(requests.ReadTimeout):
        requests.get(url(event_loop.start_listener(Agent()), "/pending"), timeout=0.2)


def test_unfinished_headers_time_out(event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "HEADER_SECONDS", 0.2)

    with connect(event_loop.start_listener(Agent()), b"GET / HTTP/1.1\r\nHost") as connection:
        assert read_to_the_end(connection) == b""


def test_connection_above_limit_is_refused_and_closed(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=2)
    with connect(listener) as first, connect(listener) as second, connect(listener) as third:
        assert read_to_the_end(third) == TOO_MANY_CONNECTIONS
        assert [response_on(first), response_on(second)] == [b"response", b"response"]


def test_default_limit_is_a_hundred_connections(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    with contextlib.ExitStack() as pending:
        for _ in range(100):
            last = pending.enter_context(connect(listener))
        assert response_on(last) == b"response"
        assert read_to_the_end(pending.enter_context(connect(listener))) == TOO_MANY_CONNECTIONS


def test_refusal_is_an_http_response(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener):
        response = requests.get(url(listener), timeout=PATIENCE)

    assert (response.status_code, response.reason) == (429, "Too Many Requests")
    assert response.headers["Content-Type"] == "text/plain"
    assert response.text == "Your IP is issuing too many concurrent connections, please rate limit your calls\n"


def test_closed_connection_makes_room(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener) as first:
        response_on(first)

    def is_accepted() -> bool:
        with connect(listener) as another:
            return response_on(another) == b"response"

    eventually(lambda: without_reset(is_accepted))


def without_reset(attempt: Callable[[], bool]) -> bool:
    with contextlib.suppress(ConnectionError):
        return attempt()
    return False


def test_restart_resets_connection_count(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener) as before:
        response_on(before)
        event_loop.stop_listener(listener)
        event_loop.do(listener.start())

        with connect(listener) as after:
            assert response_on(after) == b"response"


def test_connections_are_counted_per_client_address(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener), connect(listener, host="127.0.0.2") as other:
        assert response_on(other) == b"response"


def test_limit_can_be_disabled(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=0)
    with connect(listener), connect(listener), connect(listener) as third:
        assert response_on(third) == b"response"


def test_refusal_can_be_empty(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1, refusal=b"")
    with connect(listener), connect(listener) as second:
        assert read_to_the_end(second) == b""


class FailingSocket(socket.socket):
    """A listening socket whose first ``accept`` fails, as in a process with too many open files."""

    fails = True

    def accept(self) -> tuple[socket.socket, Any]:
        if self.fails:
            self.fails = False
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_failed_accept_is_retried(event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "listen", lambda address: FailingSocket(fileno=listen(address).detach()))

    with connect(event_loop.start_listener(Agent())) as connection:
        assert response_on(connection) == b"response"


@dataclass(frozen=True)
class Certs:
    """A CA and the files of its certificates."""

    folder: Path
    ca: trustme.CA

    @property
    def ca_file(self) -> str:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return str(path)

    def pair(self, name: str) -> tuple[str, str]:
        """Issue a certificate for ``name``; return the paths of the certificate and the key."""
        issued = self.ca.issue_cert(name)
        paths = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}-key.pem")
        issued.cert_chain_pems[0].write_to_path(paths[0])
        issued.private_key_pem.write_to_path(paths[1])
        return paths


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return Certs(tmp_path_factory.mktemp("certs"), trustme.CA())


@pytest.fixture(scope="module")
def foreign_certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return Certs(tmp_path_factory.mktemp("foreign"), trustme.CA())


@pytest.fixture(scope="module")
def tls(certs: Certs) -> ssl.SSLContext:
    return server_context(Tls(certs.ca_file, *certs.pair("127.0.0.1")))


@pytest.fixture(scope="module")
def mutual_tls(certs: Certs) -> ssl.SSLContext:
    return server_context(Tls(certs.ca_file, *certs.pair("127.0.0.1"), verify_https_client=True))


def client_context(certs: Certs, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certs.ca_file)
    context.maximum_version = version
    return context


def test_listener_serves_https(event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls)

    assert requests.get(url(listener, scheme="https"), verify=certs.ca_file, timeout=PATIENCE).text == "response"


@pytest.mark.parametrize("prefix", [b"GET / HTTP/1.1", b"HEAD /v1/jobs", b"POST /", b"PUT /v1/jobs", b"OPTIONS *"])
def test_plain_http_on_tls_port_is_rejected(prefix: bytes, event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    with connect(event_loop.start_listener(Agent(), tls=tls), prefix) as connection:
        assert read_to_the_end(connection) == HTTP_TO_TLS_PORT


def test_plain_http_client_receives_bad_request(event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    response = requests.get(url(event_loop.start_listener(Agent(), tls=tls)), timeout=PATIENCE)

    assert (response.status_code, response.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def test_client_may_disconnect_before_handshake(event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls, max_connections=1)
    connect(listener).close()

    eventually(lambda: without_reset(lambda: completes_handshake(listener)))


def completes_handshake(listener: Listener) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(listener) as connection, context.wrap_socket(connection) as encrypted:
        return response_on(encrypted) == b"response"


@pytest.mark.parametrize("payload", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a ClientHello"])
def test_handshake_times_out(
    payload: bytes, event_loop: EventLoop, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.2)

    with connect(event_loop.start_listener(Agent(), tls=tls), payload) as connection:
        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("payload", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a ClientHello"])
def test_stop_aborts_handshake(payload: bytes, event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls)
    with connect(listener, payload) as connection:
        event_loop.stop_listener(listener)

        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("payload", [b"hello\r\n", b"DELETE /v1/jobs HTTP/1.1\r\n", b"\x17\x03\x03\x00\x01"])
def test_other_protocols_are_closed_without_response(
    payload: bytes, event_loop: EventLoop, tls: ssl.SSLContext
) -> None:
    with connect(event_loop.start_listener(Agent(), tls=tls), payload) as connection:
        connection.settimeout(HANDSHAKE_SECONDS / 2)

        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("path", [b"/pending", b"/endless"])
def test_stop_aborts_tls_connections(path: bytes, event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    agent = Agent()
    listener, context = event_loop.start_listener(agent, tls=tls), client_context(certs)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python 3.11.2 would report every end as a close_notify.
    with (
        connect(listener) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as encrypted,
    ):
        encrypted.sendall(REQUEST % path)
        assert agent.started.wait(PATIENCE)

        event_loop.stop_listener(listener)

        assert agent.ended.is_set()
        assert ends_without_close_notify(encrypted)


def ends_without_close_notify(encrypted: ssl.SSLSocket) -> bool:
    try:
        while encrypted.recv(65536):
            pass
    except (ssl.SSLError, ConnectionResetError):
        return True
    return False


def test_connection_above_limit_is_refused_over_tls(event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls, max_connections=1)
    with (
        connect(listener),
        connect(listener) as second,
        client_context(certs).wrap_socket(second, server_hostname="127.0.0.1") as encrypted,
    ):
        assert read_to_the_end(encrypted) == TOO_MANY_CONNECTIONS


def test_client_with_certificate_is_accepted(event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=mutual_tls)
    response = requests.get(
        url(listener, scheme="https"), verify=certs.ca_file, cert=certs.pair("cli.global.nomad"), timeout=PATIENCE
    )

    assert response.text == "response"


def test_client_without_certificate_receives_alert(
    event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs
) -> None:
    listener = event_loop.start_listener(Agent(), tls=mutual_tls)

    with pytest.raises(requests.exceptions.SSLError, match="TLSV13_ALERT_CERTIFICATE_REQUIRED"):
        requests.get(url(listener, scheme="https"), verify=certs.ca_file, timeout=PATIENCE)


def test_client_with_foreign_certificate_receives_alert(
    event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs, foreign_certs: Certs
) -> None:
    listener = event_loop.start_listener(Agent(), tls=mutual_tls)
    foreign = foreign_certs.pair("cli.global.nomad")

    with pytest.raises(requests.exceptions.SSLError, match="TLSV1_ALERT_UNKNOWN_CA"):
        requests.get(url(listener, scheme="https"), verify=certs.ca_file, cert=foreign, timeout=PATIENCE)


def test_missing_certificate_fails_tls_1_2_handshake(
    event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs
) -> None:
    context = client_context(certs, ssl.TLSVersion.TLSv1_2)

    with (
        connect(event_loop.start_listener(Agent(), tls=mutual_tls)) as connection,
        pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"),
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_before_1_2_is_rejected(event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    context = client_context(certs, ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with (
        connect(event_loop.start_listener(Agent(), tls=tls)) as connection,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_untrusting_client_causes_no_error(event_loop: EventLoop, tls: ssl.SSLContext, foreign_certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls)

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        requests.get(url(listener, scheme="https"), verify=foreign_certs.ca_file, timeout=PATIENCE)
