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

from nomad_exporter.serving import door as rooms_door
from nomad_exporter.serving import server
from nomad_exporter.serving.asgi import Message, Receive, Send
from nomad_exporter.serving.door import HANDSHAKE_SECONDS, NOT_TLS, TOO_MANY, Door
from nomad_exporter.serving.listen import CannotListen, Listen, listen
from nomad_exporter.serving.tls import tls_context
from tests.support.house import House, housed
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
def house(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[House]:
    """In the end nobody has complained in the log."""
    with housed(request.param) as house:
        yield house
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def connect(door: Door, *sent: bytes, host: str = "127.0.0.1") -> socket.socket:
    """A connection from ``host``, on which ``sent`` has been sent."""
    connection = socket.create_connection(("127.0.0.1", door.address.port), PATIENCE, (host, 0))
    for some in sent:
        connection.sendall(some)
    return connection


def url(door: Door, path: str = "/", scheme: str = "http") -> str:
    return f"{scheme}://{door.address}{path}"


def read_to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed or reset."""
    read = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while some := connection.recv(65536):
            read += some
    return bytes(read)


def answer_on(connection: socket.socket) -> bytes:
    connection.sendall(REQUEST % b"/")
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return response.read()


def refuses(door: Door) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", door.address.port)) == errno.ECONNREFUSED


def test_an_open_door_leads_to_the_application(house: House) -> None:
    assert requests.get(url(house.open(Agent())), timeout=PATIENCE).text == "answered"


def test_each_door_leads_to_an_application_of_its_own(house: House) -> None:
    here, there = Agent(), Agent()
    house.open(here)

    requests.get(url(house.open(there)), timeout=PATIENCE)

    assert (here.begun.is_set(), there.begun.is_set()) == (False, True)


def test_no_header_is_added_but_that_of_the_length(house: House) -> None:
    answer = requests.get(url(house.open(Agent())), timeout=PATIENCE)

    assert dict(answer.headers) == {"transfer-encoding": "chunked"}


def test_a_connection_serves_many_requests(house: House) -> None:
    with connect(house.open(Agent())) as connection:
        assert [answer_on(connection), answer_on(connection)] == [b"answered", b"answered"]


def test_a_door_at_a_path_is_a_unix_socket(house: House, tmp_path: Path) -> None:
    door = house.open(Agent(), address=Listen(path=str(tmp_path / "agent.sock")))

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(door.address.path)
        assert answer_on(connection) == b"answered"


def test_an_address_that_is_taken_is_told(house: House) -> None:
    taken = house.open(Agent())

    with pytest.raises(CannotListen, match="Address already in use"):
        house.open(Agent(), address=taken.address)


def test_a_door_that_is_open_can_be_opened(house: House) -> None:
    door = house.open(Agent())
    address = door.address

    house.do(door.open())

    assert door.address == address
    assert requests.get(url(door), timeout=PATIENCE).text == "answered"


def test_a_door_that_is_shut_can_be_shut(house: House) -> None:
    door = house.open(Agent())

    house.shut(door)
    house.shut(door)

    assert refuses(door)


def test_a_door_opens_again_where_it_was(house: House) -> None:
    door = house.open(Agent())
    before = door.address

    house.shut(door)
    assert refuses(door)
    house.do(door.open())

    assert door.address == before
    assert requests.get(url(door), timeout=PATIENCE).text == "answered"


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST % b"/frozen", REQUEST % b"/endless"])
def test_a_shut_door_cuts_the_connections_that_stand(sent: bytes, house: House) -> None:
    door = house.open(Agent())
    with connect(door) as connection:
        answer_on(connection)
        connection.sendall(sent)

        house.shut(door)
        rest = read_to_the_end(connection)

    assert b"answered" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


def test_a_door_can_be_shut_while_clients_arrive(house: House) -> None:
    door = house.open(Agent())
    for _ in range(100):
        with connect(door), connect(door, REQUEST % b"/frozen"):
            house.shut(door)
        house.do(door.open())


@pytest.mark.parametrize("path", [b"/frozen", b"/endless"])
def test_a_shut_door_has_ended_the_requests_that_ran(path: bytes, house: House) -> None:
    agent = Agent()
    door = house.open(agent)
    with connect(door, REQUEST % path):
        assert agent.begun.wait(PATIENCE)

        house.shut(door)

        assert agent.ended.is_set()


@pytest.mark.parametrize("path", [b"/frozen", b"/endless"])
def test_a_request_ends_when_its_client_leaves(path: bytes, house: House) -> None:
    agent = Agent()
    with connect(house.open(agent), REQUEST % path):
        assert agent.begun.wait(PATIENCE)
        assert not agent.ended.is_set()

    assert agent.ended.wait(PATIENCE)


def test_a_frozen_agent_says_nothing(house: House) -> None:
    with pytest.raises(requests.ReadTimeout):
        requests.get(url(house.open(Agent()), "/frozen"), timeout=0.2)


def test_a_client_that_never_ends_its_headers_is_let_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.2)

    with connect(house.open(Agent()), b"GET / HTTP/1.1\r\nHost") as connection:
        assert read_to_the_end(connection) == b""


def test_one_connection_too_many_hears_so_and_is_closed(house: House) -> None:
    door = house.open(Agent(), most=2)
    with connect(door) as first, connect(door) as second, connect(door) as third:
        assert read_to_the_end(third) == TOO_MANY
        assert [answer_on(first), answer_on(second)] == [b"answered", b"answered"]


def test_a_hundred_connections_are_not_too_many(house: House) -> None:
    door = house.open(Agent())
    with contextlib.ExitStack() as held:
        for _ in range(100):
            last = held.enter_context(connect(door))
        assert answer_on(last) == b"answered"
        assert read_to_the_end(held.enter_context(connect(door))) == TOO_MANY


def test_too_many_connections_are_an_answer_to_a_client_of_http(house: House) -> None:
    door = house.open(Agent(), most=1)
    with connect(door):
        answer = requests.get(url(door), timeout=PATIENCE)

    assert (answer.status_code, answer.reason) == (429, "Too Many Requests")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text == "Your IP is issuing too many concurrent connections, please rate limit your calls\n"


def test_a_client_that_has_left_makes_room_for_another(house: House) -> None:
    door = house.open(Agent(), most=1)
    with connect(door) as first:
        answer_on(first)

    def is_let_in() -> bool:
        with connect(door) as another:
            return answer_on(another) == b"answered"

    eventually(lambda: without_reset(is_let_in))


def without_reset(attempt: Callable[[], bool]) -> bool:
    with contextlib.suppress(ConnectionError):
        return attempt()
    return False


def test_connections_are_counted_anew_when_a_door_opens_again(house: House) -> None:
    door = house.open(Agent(), most=1)
    with connect(door) as before:
        answer_on(before)
        house.shut(door)
        house.do(door.open())

        with connect(door) as after:
            assert answer_on(after) == b"answered"


def test_every_client_address_has_a_number_of_its_own(house: House) -> None:
    door = house.open(Agent(), most=1)
    with connect(door), connect(door, host="127.0.0.2") as other:
        assert answer_on(other) == b"answered"


def test_a_door_can_let_in_any_number(house: House) -> None:
    door = house.open(Agent(), most=0)
    with connect(door), connect(door), connect(door) as third:
        assert answer_on(third) == b"answered"


def test_a_refusal_can_be_wordless(house: House) -> None:
    door = house.open(Agent(), most=1, refusal=b"")
    with connect(door), connect(door) as second:
        assert read_to_the_end(second) == b""


class Tired(socket.socket):
    """A listener whose first ``accept`` fails, as in a process that may open no more files."""

    tired = True

    def accept(self) -> tuple[socket.socket, Any]:
        if self.tired:
            self.tired = False
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_connection_that_cannot_be_taken_is_taken_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_door, "listen", lambda address: Tired(fileno=listen(address).detach()))

    with connect(house.open(Agent())) as connection:
        assert answer_on(connection) == b"answered"


@dataclass(frozen=True)
class Papers:
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
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"), trustme.CA())


@pytest.fixture(scope="module")
def foreign_papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("foreign"), trustme.CA())


@pytest.fixture(scope="module")
def tls(papers: Papers) -> ssl.SSLContext:
    return tls_context(*papers.pair("127.0.0.1"))


@pytest.fixture(scope="module")
def mutual_tls(papers: Papers) -> ssl.SSLContext:
    return tls_context(*papers.pair("127.0.0.1"), papers.ca_file)


def client_context(papers: Papers, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=papers.ca_file)
    context.maximum_version = version
    return context


def test_a_door_with_tls_speaks_it(house: House, tls: ssl.SSLContext, papers: Papers) -> None:
    door = house.open(Agent(), tls=tls)

    assert requests.get(url(door, scheme="https"), verify=papers.ca_file, timeout=PATIENCE).text == "answered"


@pytest.mark.parametrize("beginning", [b"GET / HTTP/1.1", b"HEAD /v1/jobs", b"POST /", b"PUT /v1/jobs", b"OPTIONS *"])
def test_plain_http_is_told_that_tls_is_spoken_here(beginning: bytes, house: House, tls: ssl.SSLContext) -> None:
    with connect(house.open(Agent(), tls=tls), beginning) as connection:
        assert read_to_the_end(connection) == NOT_TLS


def test_a_client_of_plain_http_sees_a_bad_request(house: House, tls: ssl.SSLContext) -> None:
    answer = requests.get(url(house.open(Agent(), tls=tls)), timeout=PATIENCE)

    assert (answer.status_code, answer.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def test_a_client_that_leaves_before_it_says_a_word_is_no_trouble(house: House, tls: ssl.SSLContext) -> None:
    door = house.open(Agent(), tls=tls, most=1)
    connect(door).close()

    eventually(lambda: without_reset(lambda: shakes_hands(door)))


def shakes_hands(door: Door) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(door) as connection, context.wrap_socket(connection) as encrypted:
        return answer_on(encrypted) == b"answered"


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a greeting"])
def test_a_handshake_has_an_end(
    sent: bytes, house: House, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_door, "HANDSHAKE_SECONDS", 0.2)

    with connect(house.open(Agent(), tls=tls), sent) as connection:
        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a greeting"])
def test_a_shut_door_cuts_a_handshake(sent: bytes, house: House, tls: ssl.SSLContext) -> None:
    door = house.open(Agent(), tls=tls)
    with connect(door, sent) as connection:
        house.shut(door)

        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("sent", [b"hello\r\n", b"DELETE /v1/jobs HTTP/1.1\r\n", b"\x17\x03\x03\x00\x01"])
def test_what_is_no_beginning_is_closed_without_a_word(sent: bytes, house: House, tls: ssl.SSLContext) -> None:
    with connect(house.open(Agent(), tls=tls), sent) as connection:
        connection.settimeout(HANDSHAKE_SECONDS / 2)

        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize("path", [b"/frozen", b"/endless"])
def test_a_shut_door_cuts_what_is_encrypted(path: bytes, house: House, tls: ssl.SSLContext, papers: Papers) -> None:
    agent = Agent()
    door, context = house.open(agent, tls=tls), client_context(papers)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # With which Python 3.11.2 hears a farewell in every end.
    with (
        connect(door) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as encrypted,
    ):
        encrypted.sendall(REQUEST % path)
        assert agent.begun.wait(PATIENCE)

        house.shut(door)

        assert agent.ended.is_set()
        assert ends_without_a_farewell(encrypted)


def ends_without_a_farewell(encrypted: ssl.SSLSocket) -> bool:
    try:
        while encrypted.recv(65536):
            pass
    except (ssl.SSLError, ConnectionResetError):
        return True
    return False


def test_one_connection_too_many_hears_so_over_tls(house: House, tls: ssl.SSLContext, papers: Papers) -> None:
    door = house.open(Agent(), tls=tls, most=1)
    with (
        connect(door),
        connect(door) as second,
        client_context(papers).wrap_socket(second, server_hostname="127.0.0.1") as encrypted,
    ):
        assert read_to_the_end(encrypted) == TOO_MANY


def test_a_client_with_a_certificate_is_let_in(house: House, mutual_tls: ssl.SSLContext, papers: Papers) -> None:
    door = house.open(Agent(), tls=mutual_tls)
    answer = requests.get(
        url(door, scheme="https"), verify=papers.ca_file, cert=papers.pair("cli.global.nomad"), timeout=PATIENCE
    )

    assert answer.text == "answered"


def test_a_client_without_a_certificate_learns_that_it_needs_one(
    house: House, mutual_tls: ssl.SSLContext, papers: Papers
) -> None:
    door = house.open(Agent(), tls=mutual_tls)

    with pytest.raises(requests.exceptions.SSLError, match="TLSV13_ALERT_CERTIFICATE_REQUIRED"):
        requests.get(url(door, scheme="https"), verify=papers.ca_file, timeout=PATIENCE)


def test_a_client_with_a_foreign_certificate_learns_that_its_ca_is_unknown(
    house: House, mutual_tls: ssl.SSLContext, papers: Papers, foreign_papers: Papers
) -> None:
    door = house.open(Agent(), tls=mutual_tls)
    foreign = foreign_papers.pair("cli.global.nomad")

    with pytest.raises(requests.exceptions.SSLError, match="TLSV1_ALERT_UNKNOWN_CA"):
        requests.get(url(door, scheme="https"), verify=papers.ca_file, cert=foreign, timeout=PATIENCE)


def test_with_tls_1_2_the_handshake_fails_already(house: House, mutual_tls: ssl.SSLContext, papers: Papers) -> None:
    context = client_context(papers, ssl.TLSVersion.TLSv1_2)

    with (
        connect(house.open(Agent(), tls=mutual_tls)) as connection,
        pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"),
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_tls_older_than_1_2_is_not_spoken(house: House, tls: ssl.SSLContext, papers: Papers) -> None:
    context = client_context(papers, ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with connect(house.open(Agent(), tls=tls)) as connection, pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_a_client_that_does_not_trust_the_agent_is_no_trouble(
    house: House, tls: ssl.SSLContext, foreign_papers: Papers
) -> None:
    door = house.open(Agent(), tls=tls)

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        requests.get(url(door, scheme="https"), verify=foreign_papers.ca_file, timeout=PATIENCE)
