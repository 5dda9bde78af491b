"""Doors on real sockets, on both loops: what clients meet when a door opens, shuts, refuses and waits."""

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

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


class Agent:
    """An application that answers, never answers (``/frozen``), or answers without end (``/endless``).

    It ends some turns of the loop after it was told to.
    """

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    async def __call__(self, scope: Message, _: Receive, send: Send) -> None:
        self.begun.set()
        try:
            if scope["path"] == "/frozen":
                await asyncio.Event().wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while scope["path"] == "/endless":
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"answered"})
        finally:
            for _turn in range(10):
                await asyncio.sleep(0)
            self.ended.set()


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def event_loop(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[EventLoop]:
    """In the end nobody has complained in the log."""
    with running_loop(request.param) as event_loop:
        yield event_loop
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def connect(listener: Listener, *payload: bytes, host: str = "127.0.0.1") -> socket.socket:
    """A connection from ``host``, on which ``messages`` has been sent."""
    connection = socket.create_connection(("127.0.0.1", listener.address.port), PATIENCE, (host, 0))
    for some in payload:
        connection.sendall(some)
    return connection


def url(listener: Listener, path: str = "/", scheme: str = "http") -> str:
    return f"{scheme}://{listener.address}{path}"


def read_to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed or reset."""
    read = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while some := connection.recv(65536):
            read += some
    return bytes(read)


def response_on(connection: socket.socket) -> bytes:
    connection.sendall(REQUEST % b"/")
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return response.read()


def refuses(listener: Listener) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", listener.address.port)) == errno.ECONNREFUSED


def test_an_open_door_leads_to_the_application(event_loop: EventLoop) -> None:
    assert requests.get(url(event_loop.start_listener(Agent())), timeout=PATIENCE).text == "answered"


def test_each_door_leads_to_an_application_of_its_own(event_loop: EventLoop) -> None:
    here, there = Agent(), Agent()
    event_loop.start_listener(here)

    requests.get(url(event_loop.start_listener(there)), timeout=PATIENCE)

    assert (here.begun.is_set(), there.begun.is_set()) == (False, True)


def test_no_header_is_added_but_that_of_the_length(event_loop: EventLoop) -> None:
    answer = requests.get(url(event_loop.start_listener(Agent())), timeout=PATIENCE)

    assert dict(answer.headers) == {"transfer-encoding": "chunked"}


def test_a_connection_serves_many_requests(event_loop: EventLoop) -> None:
    with connect(event_loop.start_listener(Agent())) as connection:
        assert [response_on(connection), response_on(connection)] == [b"answered", b"answered"]


def test_an_address_that_is_taken_is_told(event_loop: EventLoop) -> None:
    used = event_loop.start_listener(Agent())

    with pytest.raises(ListenError, match="Address already in use"):
        event_loop.start_listener(Agent(), address=used.address)


def test_a_door_that_is_open_can_be_opened(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    address = listener.address

    event_loop.do(listener.start())

    assert listener.address == address
    assert requests.get(url(listener), timeout=PATIENCE).text == "answered"


def test_a_door_that_is_shut_can_be_shut(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())

    event_loop.stop_listener(listener)
    event_loop.stop_listener(listener)

    assert refuses(listener)


def test_a_door_opens_again_where_it_was(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    before = listener.address

    event_loop.stop_listener(listener)
    assert refuses(listener)
    event_loop.do(listener.start())

    assert listener.address == before
    assert requests.get(url(listener), timeout=PATIENCE).text == "answered"


@pytest.mark.parametrize("payload", [b"", b"GET / HT", REQUEST % b"/frozen", REQUEST % b"/endless"])
def test_a_shut_door_cuts_the_connections_that_stand(payload: bytes, event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    with connect(listener) as connection:
        response_on(connection)
        connection.sendall(payload)

        event_loop.stop_listener(listener)
        rest = read_to_the_end(connection)

    assert b"answered" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


def test_a_door_can_be_shut_while_clients_arrive(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    for _ in range(100):
        with connect(listener), connect(listener, REQUEST % b"/frozen"):
            event_loop.stop_listener(listener)
        event_loop.do(listener.start())


@pytest.mark.parametrize("path", [b"/frozen", b"/endless"])
def test_a_shut_door_has_ended_the_requests_that_ran(path: bytes, event_loop: EventLoop) -> None:
    agent = Agent()
    listener = event_loop.start_listener(agent)
    with connect(listener, REQUEST % path):
        assert agent.begun.wait(PATIENCE)

        event_loop.stop_listener(listener)

        assert agent.ended.is_set()


@pytest.mark.parametrize("path", [b"/frozen", b"/endless"])
def test_a_request_ends_when_its_client_leaves(path: bytes, event_loop: EventLoop) -> None:
    agent = Agent()
    with connect(event_loop.start_listener(agent), REQUEST % path):
        assert agent.begun.wait(PATIENCE)
        assert not agent.ended.is_set()

    assert agent.ended.wait(PATIENCE)


def test_a_frozen_agent_says_nothing(event_loop: EventLoop) -> None:
    with pytest.raises(requests.ReadTimeout):
        requests.get(url(event_loop.start_listener(Agent()), "/frozen"), timeout=0.2)


def test_a_client_that_never_ends_its_headers_is_let_go(event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "HEADER_SECONDS", 0.2)

    with connect(event_loop.start_listener(Agent()), b"GET / HTTP/1.1\r\nHost") as connection:
        assert read_to_the_end(connection) == b""


def test_one_connection_too_many_hears_so_and_is_closed(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=2)
    with connect(listener) as first, connect(listener) as second, connect(listener) as third:
        assert read_to_the_end(third) == TOO_MANY_CONNECTIONS
        assert [response_on(first), response_on(second)] == [b"answered", b"answered"]


def test_a_hundred_connections_are_not_too_many(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent())
    with contextlib.ExitStack() as pending:
        for _ in range(100):
            last = pending.enter_context(connect(listener))
        assert response_on(last) == b"answered"
        assert read_to_the_end(pending.enter_context(connect(listener))) == TOO_MANY_CONNECTIONS


def test_too_many_connections_are_an_answer_to_a_client_of_http(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener):
        answer = requests.get(url(listener), timeout=PATIENCE)

    assert (answer.status_code, answer.reason) == (429, "Too Many Requests")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text == "Your IP is issuing too many concurrent connections, please rate limit your calls\n"


def test_a_client_that_has_left_makes_room_for_another(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener) as first:
        response_on(first)

    def is_let_in() -> bool:
        with connect(listener) as another:
            return response_on(another) == b"answered"

    eventually(lambda: without_reset(is_let_in))


def without_reset(attempt: Callable[[], bool]) -> bool:
    with contextlib.suppress(ConnectionError):
        return attempt()
    return False


def test_connections_are_counted_anew_when_a_door_opens_again(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener) as before:
        response_on(before)
        event_loop.stop_listener(listener)
        event_loop.do(listener.start())

        with connect(listener) as after:
            assert response_on(after) == b"answered"


def test_every_client_address_has_a_number_of_its_own(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1)
    with connect(listener), connect(listener, host="127.0.0.2") as other:
        assert response_on(other) == b"answered"


def test_a_door_can_let_in_any_number(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=0)
    with connect(listener), connect(listener), connect(listener) as third:
        assert response_on(third) == b"answered"


def test_a_refusal_can_be_wordless(event_loop: EventLoop) -> None:
    listener = event_loop.start_listener(Agent(), max_connections=1, refusal=b"")
    with connect(listener), connect(listener) as second:
        assert read_to_the_end(second) == b""


class Tired(socket.socket):
    """A listener whose first ``accept`` fails, as in a process that may open no more files."""

    tired = True

    def accept(self) -> tuple[socket.socket, Any]:
        if self.tired:
            self.tired = False
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_connection_that_cannot_be_taken_is_taken_later(
    event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "listen", lambda address: Tired(fileno=listen(address).detach()))

    with connect(event_loop.start_listener(Agent())) as connection:
        assert response_on(connection) == b"answered"


@dataclass(frozen=True)
class Certs:
    """The files of a CA, and of what it issues."""

    folder: Path
    ca: trustme.CA

    @property
    def ca_file(self) -> str:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return str(path)

    def pair(self, name: str) -> tuple[str, str]:
        """A certificate for ``name``, and its key."""
        issued = self.ca.issue_cert(name)
        paths = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}-key.pem")
        issued.cert_chain_pems[0].write_to_path(paths[0])
        issued.private_key_pem.write_to_path(paths[1])
        return paths


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return Certs(tmp_path_factory.mktemp("papers"), trustme.CA())


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


def test_a_door_with_tls_speaks_it(event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls)

    assert requests.get(url(listener, scheme="https"), verify=certs.ca_file, timeout=PATIENCE).text == "answered"


@pytest.mark.parametrize("beginning", [b"GET / HTTP/1.1", b"HEAD /v1/jobs", b"POST /", b"PUT /v1/jobs", b"OPTIONS *"])
def test_plain_http_is_told_that_tls_is_spoken_here(
    beginning: bytes, event_loop: EventLoop, tls: ssl.SSLContext
) -> None:
    with connect(event_loop.start_listener(Agent(), tls=tls), beginning) as connection:
        assert read_to_the_end(connection) == HTTP_TO_TLS_PORT


def test_a_client_of_plain_http_sees_a_bad_request(event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    answer = requests.get(url(event_loop.start_listener(Agent(), tls=tls)), timeout=PATIENCE)

    assert (answer.status_code, answer.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def test_a_client_that_leaves_before_it_says_a_word_is_no_trouble(event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls, max_connections=1)
    connect(listener).close()

    eventually(lambda: without_reset(lambda: shakes_hands(listener)))


def shakes_hands(listener: Listener) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(listener) as connection, context.wrap_socket(connection) as encrypted:
        return response_on(encrypted) == b"answered"


@pytest.mark.parametrize("payload", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a greeting"])
def test_a_handshake_has_an_end(
    payload: bytes, event_loop: EventLoop, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.2)

    with connect(event_loop.start_listener(Agent(), tls=tls), payload) as connection:
        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("payload", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a greeting"])
def test_a_shut_door_cuts_a_handshake(payload: bytes, event_loop: EventLoop, tls: ssl.SSLContext) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls)
    with connect(listener, payload) as connection:
        event_loop.stop_listener(listener)

        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("payload", [b"hello\r\n", b"DELETE /v1/jobs HTTP/1.1\r\n", b"\x17\x03\x03\x00\x01"])
def test_what_is_no_beginning_is_closed_without_a_word(
    payload: bytes, event_loop: EventLoop, tls: ssl.SSLContext
) -> None:
    with connect(event_loop.start_listener(Agent(), tls=tls), payload) as connection:
        connection.settimeout(HANDSHAKE_SECONDS / 2)

        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("path", [b"/frozen", b"/endless"])
def test_a_shut_door_cuts_what_is_encrypted(
    path: bytes, event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs
) -> None:
    agent = Agent()
    listener, context = event_loop.start_listener(agent, tls=tls), client_context(certs)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # With which Python 3.11.2 hears a farewell in every end.
    with (
        connect(listener) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as encrypted,
    ):
        encrypted.sendall(REQUEST % path)
        assert agent.begun.wait(PATIENCE)

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


def test_one_connection_too_many_hears_so_over_tls(event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls, max_connections=1)
    with (
        connect(listener),
        connect(listener) as second,
        client_context(certs).wrap_socket(second, server_hostname="127.0.0.1") as encrypted,
    ):
        assert read_to_the_end(encrypted) == TOO_MANY_CONNECTIONS


def test_a_client_with_a_certificate_is_let_in(event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs) -> None:
    listener = event_loop.start_listener(Agent(), tls=mutual_tls)
    answer = requests.get(
        url(listener, scheme="https"), verify=certs.ca_file, cert=certs.pair("cli.global.nomad"), timeout=PATIENCE
    )

    assert answer.text == "answered"


def test_a_client_without_a_certificate_learns_that_it_needs_one(
    event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs
) -> None:
    listener = event_loop.start_listener(Agent(), tls=mutual_tls)

    with pytest.raises(requests.exceptions.SSLError, match="TLSV13_ALERT_CERTIFICATE_REQUIRED"):
        requests.get(url(listener, scheme="https"), verify=certs.ca_file, timeout=PATIENCE)


def test_a_client_with_a_foreign_certificate_learns_that_its_ca_is_unknown(
    event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs, foreign_certs: Certs
) -> None:
    listener = event_loop.start_listener(Agent(), tls=mutual_tls)
    foreign = foreign_certs.pair("cli.global.nomad")

    with pytest.raises(requests.exceptions.SSLError, match="TLSV1_ALERT_UNKNOWN_CA"):
        requests.get(url(listener, scheme="https"), verify=certs.ca_file, cert=foreign, timeout=PATIENCE)


def test_with_tls_1_2_the_handshake_fails_already(
    event_loop: EventLoop, mutual_tls: ssl.SSLContext, certs: Certs
) -> None:
    context = client_context(certs, ssl.TLSVersion.TLSv1_2)

    with (
        connect(event_loop.start_listener(Agent(), tls=mutual_tls)) as connection,
        pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"),
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_tls_older_than_1_2_is_not_spoken(event_loop: EventLoop, tls: ssl.SSLContext, certs: Certs) -> None:
    context = client_context(certs, ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with (
        connect(event_loop.start_listener(Agent(), tls=tls)) as connection,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_a_client_that_does_not_trust_the_agent_is_no_trouble(
    event_loop: EventLoop, tls: ssl.SSLContext, foreign_certs: Certs
) -> None:
    listener = event_loop.start_listener(Agent(), tls=tls)

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        requests.get(url(listener, scheme="https"), verify=foreign_certs.ca_file, timeout=PATIENCE)
