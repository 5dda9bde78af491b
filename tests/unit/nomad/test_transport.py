"""The wire, on real sockets: a GET gives a reply or a failure that says what is wrong, and never a secret."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import trustme

from nomad_exporter import __version__
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.connections import BoundedSocket
from nomad_exporter.nomad.errors import classify
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import (
    BODY_LIMITS,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
)
from nomad_exporter.nomad.tls import Contexts, Trust
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import RecordedAgent, Script, answer, free_port, scripted
from tests.support.answers import recorded
from tests.support.waiting import PATIENCE
from tests.unit.nomad.test_connections import full

ServerContext = Callable[..., ssl.SSLContext]

SERVER = "2.0.5/healthy/s1-follower"
LOOPBACK = "127.0.0.1"

TOKEN = "5ecret00-70ce-4aaa-bbbb-0123456789ab"
PASSWORD = "passw0rd"
PROOF = Credentials(token=Secret(TOKEN), basic_auth=Secret(f"poller:{PASSWORD}"))
PROOF_HEADERS = (TOKEN, PASSWORD, "cG9sbGVyOnBhc3N3MHJk")

OK = b"HTTP/1.1 200 OK\r\n"
CUT_OFF = Failure(FailureReason.RESET, "the agent closed the connection before its answer was whole")
NOT_HTTP = Failure(FailureReason.PROTOCOL, "the answer is not HTTP as Nomad speaks it")


@contextlib.contextmanager
def transport(address: Address, credentials: Credentials = PROOF, tls: Tls = Tls()) -> Iterator[Transport]:  # noqa: B008  # Frozen.
    """The wire to an agent, closed in the end."""
    made = Transport(Agent("s1", address, credentials, tls), Contexts())
    with contextlib.closing(made):
        yield made


def ask(
    address: Address,
    credentials: Credentials = PROOF,
    tls: Tls = Tls(),  # noqa: B008  # Frozen.
    seconds: float = PATIENCE,
    path: str = SELF_PATH,
) -> Reply | Failure:
    """What one question gives."""
    with transport(address, credentials, tls) as made:
        return made.get(path, seconds)


def https(address: Address) -> Address:
    return Address("https", address.host, address.port)


def sending(said: bytes) -> Script:
    """A script that reads a request, says this, whatever it is, and closes."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)

    return script


def asked_by(agent: RecordedAgent) -> dict[str, str]:
    """The headers of the only request that came."""
    ((_, headers),) = agent.asked
    return headers


# Replies.


def test_a_whole_answer_is_a_reply() -> None:
    with RecordedAgent(SERVER) as agent:
        assert ask(agent.address) == recorded(SERVER)


def test_the_path_reaches_the_agent_as_it_is() -> None:
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, path=STALE_HEALTH_PATH)

    assert [path for path, _ in agent.asked] == ["/v1/agent/health?stale"]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 429, 500, 501, 503])
def test_every_status_is_a_reply(status: int) -> None:
    with scripted(answer(b"" if status == 204 else b"told", b"HTTP/1.1 %d Told" % status)) as address:
        assert ask(address) == Reply(status, b"" if status == 204 else b"told")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(OK + b"Content-Length: 4\r\n\r\ntold", id="of a length that is told"),
        pytest.param(OK + b"\r\ntold", id="up to the end of the connection"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nto\r\n2\r\nld\r\n0\r\n\r\n", id="in chunks"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\ntold", id="of HTTP 1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 4\r\n\r\ntold", id="after a 100"),
        pytest.param(OK + b"Content-Encoding: identity\r\nContent-Length: 4\r\n\r\ntold", id="encoded as it is"),
    ],
)
def test_a_body_is_read(said: bytes) -> None:
    with scripted(sending(said)) as address:
        assert ask(address) == Reply(200, b"told")


def test_a_redirect_is_a_reply_and_not_followed() -> None:
    with RecordedAgent(SERVER) as other:
        said = b"HTTP/1.1 307 Elsewhere\r\nLocation: %b/ui/\r\nContent-Length: 0\r\n\r\n" % other.url.encode()
        with scripted(sending(said)) as address:
            reply = ask(address)

    assert reply == Reply(307, b"")
    assert other.asked == []


def test_an_agent_on_a_unix_socket_is_asked(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("u") / "api.sock"
    requests_seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            requests_seen.append(connection.recv(65536))
            connection.sendall(OK + b"Content-Length: 4\r\n\r\ntold")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        reply = ask(Address("unix", path=str(path)))
        thread.join()

    assert reply == Reply(200, b"told")
    assert requests_seen[0].startswith(b"GET /v1/agent/self HTTP/1.1\r\nHost: 127.0.0.1\r\n")


# What is sent.


def test_what_is_sent_says_who_we_are_and_what_we_can_read() -> None:
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, Credentials())

    headers = asked_by(agent)
    assert headers["user-agent"] == f"nomad-exporter/{__version__}"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == agent.address.host_port


def test_without_credentials_nothing_is_sent_that_proves_anything() -> None:
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, Credentials())

    assert not {"x-nomad-token", "authorization", "cookie"} & asked_by(agent).keys()


def test_the_token_and_the_password_are_sent_as_headers() -> None:
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, PROOF)

    headers = asked_by(agent)
    assert headers["x-nomad-token"] == TOKEN
    assert headers["authorization"] == "Basic cG9sbGVyOnBhc3N3MHJk"


def test_a_password_in_any_script_is_sent_as_utf_8() -> None:
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, Credentials(basic_auth=Secret("poller:pässwörd")))

    assert asked_by(agent)["authorization"] == "Basic cG9sbGVyOnDDpHNzd8O2cmQ="


def test_the_token_in_the_file_wins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken-of-the-file\n")
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, Credentials(token=Secret(TOKEN), token_file=tmp_path / "token"))

    assert asked_by(agent)["x-nomad-token"] == "t0ken-of-the-file"


def test_the_token_file_is_read_again_at_every_question(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with RecordedAgent(SERVER) as agent, transport(agent.address, Credentials(token_file=file)) as made:
        for token in ("old", "new"):
            file.write_text(token)
            made.get(SELF_PATH, PATIENCE)

    assert [headers["x-nomad-token"] for _, headers in agent.asked] == ["old", "new"]


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_token_that_is_rejected_and_was_renewed_meanwhile_is_tried_anew(tmp_path: Path, status: int) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    tokens: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        for said in (b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status, TOLD):
            tokens.append(connection.recv(65536).partition(b"X-Nomad-Token: ")[2].split()[0])
            file.write_text("new")
            connection.sendall(said)

    with scripted(script) as address:
        reply = ask(address, Credentials(token_file=file))

    assert reply == Reply(200, b"told")
    assert tokens == [b"old", b"new"]


def test_a_token_that_is_rejected_twice_is_not_tried_a_third_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("0")
    tokens = iter(range(1, 100))

    def script(connection: socket.socket, _: threading.Event) -> None:
        while connection.recv(65536):
            file.write_text(str(next(tokens)))
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    with scripted(script) as address:
        reply = ask(address, Credentials(token_file=file))

    assert reply == Reply(403, b"")
    assert next(tokens) == 3


def test_a_token_that_is_rejected_and_is_still_the_same_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with RecordedAgent("2.0.5/acl/unknown") as agent:
        reply = ask(agent.address, Credentials(token_file=tmp_path / "token"))

    assert reply == recorded("2.0.5/acl/unknown")
    assert len(agent.asked) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="gone for a moment"),
        pytest.param(lambda path: path.write_text("\n"), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), id="no text"),
    ],
)
def test_a_token_file_that_is_spoilt_for_a_moment_leaves_the_last_token_in_use(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    file = tmp_path / "token"
    file.write_text("last")
    with RecordedAgent(SERVER) as agent, transport(agent.address, Credentials(token_file=file)) as made:
        made.get(SELF_PATH, PATIENCE)
        spoil(file)
        made.get(SELF_PATH, PATIENCE)

    assert [headers["x-nomad-token"] for _, headers in agent.asked] == ["last", "last"]


def test_an_empty_token_file_is_named_and_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with RecordedAgent(SERVER) as agent:
        failed = ask(agent.address, Credentials(token_file=tmp_path / "token"))

    assert failed == Failure(FailureReason.CREDENTIALS, f"{tmp_path / 'token'}: is empty")
    assert agent.asked == []


def test_nothing_of_the_environment_changes_the_way_to_the_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password anything")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with RecordedAgent(SERVER) as agent:
        reply = ask(agent.address, Credentials())

    assert reply == recorded(SERVER)
    assert "authorization" not in asked_by(agent)


# Failures of the connection.


def test_a_port_without_a_listener() -> None:
    assert ask(Address("http", LOOPBACK, free_port())) == Failure(FailureReason.REFUSED, "connection refused")


def test_a_socket_that_is_missing(tmp_path: Path) -> None:
    failed = ask(Address("unix", path=str(tmp_path / "api.sock")))

    assert failed == Failure(FailureReason.REFUSED, "no such socket")


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Makes root, who may open everything, a user who may not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_socket_that_may_not_be_opened(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    path = tmp_path_factory.mktemp("u") / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        request.getfixturevalue("ordinary_user")
        failed = ask(Address("unix", path=str(path)))

    assert failed == Failure(
        FailureReason.CREDENTIALS, "the system forbids it: the permissions of the socket, or a firewall"
    )


def test_a_network_without_a_route() -> None:
    failed = ask(Address("http", "127.255.255.255", 4646))  # The broadcast address, to which no TCP goes.

    assert failed == Failure(FailureReason.UNREACHABLE, "no route to the agent")


def test_a_host_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert ask(Address("http", "nomad.example", 4646)) == Failure(
        FailureReason.DNS, "the host name could not be resolved"
    )


@pytest.mark.parametrize("host", ["nomad..example", "x" * 70, "exämple..de"], ids=["dots", "long", "of umlauts"])
def test_a_host_name_that_is_none(host: str) -> None:
    assert ask(Address("http", host, 4646)) == Failure(FailureReason.DNS, "the host name is not one")


# Failures of HTTP.


def reset(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(65536)
    end_without_a_farewell(connection)


def end_without_a_farewell(connection: socket.socket) -> None:
    """Makes the end of the connection, when it comes, a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stalling(said: bytes) -> Script:
    """A script that says so much and then nothing."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)
        over.wait()

    return script


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        pytest.param(sending(b""), CUT_OFF, id="closed without an answer"),
        pytest.param(reset, CUT_OFF, id="reset"),
        pytest.param(sending(OK + b"Content-Length: 10\r\n\r\ntold"), CUT_OFF, id="closed in the body"),
        pytest.param(sending(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nto"), CUT_OFF, id="closed in a chunk"),
        pytest.param(sending(b"SSH-2.0-OpenSSH_9.6\r\n"), NOT_HTTP, id="another protocol"),
        pytest.param(sending(b"HTTP/2 200\r\n\r\n"), NOT_HTTP, id="another HTTP"),
        pytest.param(sending(b"HTTP/1.1 two-hundred OK\r\n\r\n"), NOT_HTTP, id="a status that is no number"),
        pytest.param(sending(OK + b"X: %b\r\n\r\n" % (b"x" * 70_000)), NOT_HTTP, id="a header without end"),
        pytest.param(sending(OK + b"X: x\r\n" * 200 + b"\r\n"), NOT_HTTP, id="headers without end"),
        pytest.param(
            sending(OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\ntold"), NOT_HTTP, id="two different lengths"
        ),
        pytest.param(
            sending(OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
            Failure(FailureReason.PROTOCOL, "the answer is compressed, though we did not ask for it"),
            id="compressed, though empty",
        ),
    ],
)
def test_an_answer_that_is_none(script: Script, failed: Failure) -> None:
    with scripted(script) as address:
        assert ask(address) == failed


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="at all"),
        pytest.param(OK, id="after the status"),
        pytest.param(OK + b"Content-Length: 10\r\n\r\ntold", id="in the body"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\ntold\r\n", id="between two chunks"),
    ],
)
def test_an_agent_that_does_not_go_on(said: bytes) -> None:
    with scripted(stalling(said)) as address:
        failed = ask(address, seconds=0.1)

    assert failed == Failure(FailureReason.TIMEOUT, "no whole answer within 100ms")


@pytest.mark.parametrize("path", BODY_LIMITS)
def test_a_body_of_the_greatest_size_is_read(path: str) -> None:
    with scripted(answer(b"x" * BODY_LIMITS[path])) as address:
        assert ask(address, path=path) == Reply(200, b"x" * BODY_LIMITS[path])


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        pytest.param(SELF_PATH, "more than 2 MiB", id="self"),
        pytest.param(MEMBERS_PATH, "more than 8 MiB", id="members"),
        pytest.param(HEALTH_PATH, "more than 1 MiB", id="health"),
    ],
)
def test_a_greater_body_is_refused(path: str, detail: str) -> None:
    with scripted(answer(b"x" * (BODY_LIMITS[path] + 1))) as address:
        assert ask(address, path=path) == Failure(FailureReason.TOO_LARGE, detail)


# Failures of TLS.


@contextlib.contextmanager
def tls_agent(context: ssl.SSLContext) -> Iterator[Address]:
    with RecordedAgent(SERVER, context) as agent:
        yield agent.address


def test_an_agent_of_the_right_ca_is_asked_over_tls(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context()) as address:
        assert ask(address, tls=Tls(ca_file=ca_file)) == recorded(SERVER)


def test_an_agent_that_wants_a_client_certificate_gets_it(
    ca_file: Path, client_files: tuple[Path, Path], server_context: ServerContext
) -> None:
    cert_file, key_file = client_files
    with tls_agent(server_context(wants_certificate=True)) as address:
        reply = ask(address, tls=Tls(ca_file=ca_file, cert_file=cert_file, key_file=key_file))

    assert reply == recorded(SERVER)


def test_an_agent_is_known_by_the_name_that_is_expected_of_it(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context("server.global.nomad")) as address:
        assert ask(address, tls=Tls(ca_file=ca_file, server_name="server.global.nomad")) == recorded(SERVER)


def test_where_nothing_is_to_be_verified_any_agent_is_asked_without_a_warning(server_context: ServerContext) -> None:
    with tls_agent(server_context("anything")) as address:
        assert ask(address, tls=Tls(skip_verify=True)) == recorded(SERVER)


def test_the_ends_of_both_certificates_are_told(
    ca: trustme.CA, ca_file: Path, tmp_path: Path, server_context: ServerContext
) -> None:
    peer, own = datetime(2040, 1, 1, tzinfo=UTC), datetime(2039, 1, 1, tzinfo=UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(LOOPBACK, not_after=peer).configure_cert(context)
    cert_file = tmp_path / "cli.pem"
    ca.issue_cert("cli.global.nomad", not_after=own).private_key_and_cert_chain_pem.write_to_path(cert_file)
    tls = Tls(ca_file=ca_file, cert_file=cert_file, key_file=cert_file)
    with tls_agent(context) as address, transport(address, tls=tls) as made:
        before = made.certificates
        made.get(SELF_PATH, PATIENCE)

    assert before == Certificates()
    assert made.certificates == Certificates(peer=peer.timestamp(), own=own.timestamp())


def test_over_plain_http_there_is_no_certificate_to_expire() -> None:
    with RecordedAgent(SERVER) as agent, transport(agent.address) as made:
        made.get(SELF_PATH, PATIENCE)

    assert made.certificates == Certificates()


def test_when_a_ca_is_revoked_the_connections_that_it_vouched_for_are_made_anew(
    tmp_path: Path, ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(ca_file.read_bytes())
    with tls_agent(server_context()) as address, transport(address, tls=Tls(ca_file=file)) as made:
        reply = made.get(SELF_PATH, PATIENCE)
        (tmp_path / "new.pem").write_bytes(other_ca_file.read_bytes())
        (tmp_path / "new.pem").rename(file)
        failed = made.get(SELF_PATH, PATIENCE)

    assert reply == recorded(SERVER)
    assert failed == Failure(FailureReason.TLS, REFUSED_CERTIFICATE + "unable to get local issuer certificate")


REFUSED_CERTIFICATE = "the agent's certificate was refused: "


def test_an_agent_of_another_ca(other_ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context()) as address:
        failed = ask(address, tls=Tls(ca_file=other_ca_file))

    assert failed == Failure(FailureReason.TLS, REFUSED_CERTIFICATE + "unable to get local issuer certificate")


def test_an_agent_whose_certificate_is_for_another_address(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context("server.global.nomad")) as address:
        failed = ask(address, tls=Tls(ca_file=ca_file))

    why = "IP address mismatch, certificate is not valid for '127.0.0.1'."
    assert failed == Failure(FailureReason.TLS, REFUSED_CERTIFICATE + why)


def test_an_agent_whose_certificate_has_expired(ca: trustme.CA, ca_file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired = ca.issue_cert(
        LOOPBACK, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=datetime(2020, 1, 1, tzinfo=UTC)
    )
    expired.configure_cert(context)
    with tls_agent(context) as address:
        failed = ask(address, tls=Tls(ca_file=ca_file))

    assert failed == Failure(FailureReason.TLS, REFUSED_CERTIFICATE + "certificate has expired")


def demanding(context: ssl.SSLContext) -> Script:
    """A script that shakes hands, and where it refuses, says why and listens to the end, so that it is heard."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = context.wrap_bio(incoming, outgoing, server_side=True)
        with contextlib.suppress(ssl.SSLError):
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        connection.sendall(outgoing.read())
        while connection.recv(65536):
            continue

    return script


def test_an_agent_that_wants_a_client_certificate_and_gets_none(ca_file: Path, server_context: ServerContext) -> None:
    with scripted(demanding(server_context(wants_certificate=True))) as address:
        failed = ask(https(address), tls=Tls(ca_file=ca_file))

    assert failed == Failure(FailureReason.TLS, "the agent wants a client certificate")


def test_an_agent_that_wants_a_client_certificate_and_gets_that_of_another_ca(
    ca_file: Path, other_client_file: Path, server_context: ServerContext
) -> None:
    with scripted(demanding(server_context(wants_certificate=True))) as address:
        failed = ask(https(address), tls=Tls(ca_file=ca_file, cert_file=other_client_file, key_file=other_client_file))

    assert failed == Failure(FailureReason.TLS, "the agent does not know the CA of our client certificate")


def test_an_agent_that_speaks_nothing_newer_than_tls_1_1(ca_file: Path, server_context: ServerContext) -> None:
    context = server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # That it is deprecated is the point.
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tls_agent(context) as address:
        failed = ask(address, tls=Tls(ca_file=ca_file))

    assert failed == Failure(FailureReason.TLS, "the agent has no TLS 1.2 or later")


def alert(number: int) -> Script:
    """A script that answers the handshake with a fatal alert of TLS."""
    return stalling(b"\x15\x03\x03\x00\x02\x02%c" % number)


HELLO_OF_TLS_1_1 = b"\x03\x02" + b"random" * 5 + b"!!" + b"\x00" + b"\xc0\x14" + b"\x00"


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        pytest.param(
            sending(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "the agent speaks plain HTTP, its address says https://",
            id="plain HTTP",
        ),
        pytest.param(
            stalling(b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26" + HELLO_OF_TLS_1_1),
            "the agent has no TLS 1.2 or later",
            id="a greeting in TLS 1.1",
        ),
        pytest.param(alert(70), "the agent has no TLS 1.2 or later", id="protocol_version"),
        pytest.param(alert(42), "the agent refused our client certificate, or wants one", id="bad_certificate"),
        pytest.param(alert(45), "our client certificate has expired", id="certificate_expired"),
        pytest.param(alert(48), "the agent does not know the CA of our client certificate", id="unknown_ca"),
        pytest.param(alert(116), "the agent wants a client certificate", id="certificate_required"),
        pytest.param(alert(40), "the TLS handshake failed", id="handshake_failure"),
    ],
)
def test_a_handshake_that_fails_says_why(ca_file: Path, script: Script, detail: str) -> None:
    with scripted(script) as address:
        failed = ask(https(address), tls=Tls(ca_file=ca_file))

    assert failed == Failure(FailureReason.TLS, detail)


def test_an_agent_that_ends_the_handshake_without_a_word(ca_file: Path) -> None:
    with scripted(sending(b"")) as address:
        assert ask(https(address), tls=Tls(ca_file=ca_file)) == CUT_OFF


def test_an_agent_that_does_not_answer_the_handshake(ca_file: Path) -> None:
    with scripted(stalling(b"")) as address:
        failed = ask(https(address), tls=Tls(ca_file=ca_file), seconds=0.1)

    assert failed == Failure(FailureReason.TIMEOUT, "no whole answer within 100ms")


# Failures of ours.


def test_a_token_that_no_header_can_carry_is_not_sent_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n{TOKEN}")
    with RecordedAgent(SERVER) as agent:
        failed = ask(agent.address, Credentials(token_file=tmp_path / "token"))

    assert failed == Failure(FailureReason.CREDENTIALS, f"{tmp_path}/token: not one line of printable ASCII")
    assert agent.asked == []


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}é", f"{TOKEN}\x7f"], ids=ascii)
def test_a_token_of_the_environment_that_no_header_can_carry_is_told_by_the_variable(token: str) -> None:
    failed = ask(Address("http", LOOPBACK, free_port()), Credentials(token=Secret(token)))

    assert failed == Failure(FailureReason.CREDENTIALS, "NOMAD_TOKEN: not one line of printable ASCII")


def test_a_folder_without_a_ca(tmp_path: Path) -> None:
    failed = ask(Address("https", LOOPBACK, free_port()), tls=Tls(ca_path=tmp_path))

    assert failed == Failure(FailureReason.CREDENTIALS, f"{tmp_path}: no CA certificate in this folder")


def test_a_fault_of_ours_is_told_as_one_and_not_quoted() -> None:
    assert classify(KeyError(TOKEN), 4.0) == Failure(FailureReason.INTERNAL, "an error of the exporter, KeyError")


def test_no_exception_leaves_the_wire() -> None:
    class Broken(Contexts):
        def get(self, tls: Tls) -> Trust:
            raise KeyError(TOKEN)

    made = Transport(Agent("s1", Address("https", LOOPBACK, 4646)), Broken())

    assert made.get(SELF_PATH, PATIENCE) == Failure(FailureReason.INTERNAL, "an error of the exporter, KeyError")


@pytest.mark.parametrize(
    "echo",
    [
        pytest.param(lambda said: said, id="as it is"),
        pytest.param(lambda said: b"HTTP/1.1 " + said, id="as a status"),
        pytest.param(lambda said: OK + b"Content-Length: " + said, id="as a length"),
        pytest.param(lambda said: OK + b"Content-Encoding: " + said, id="as an encoding"),
        pytest.param(lambda said: OK + b"Transfer-Encoding: chunked\r\n\r\n" + said, id="as a chunk"),
    ],
)
@pytest.mark.parametrize("header", [b"x-nomad-token", b"authorization"], ids=["the token", "the password"])
def test_a_failure_never_quotes_a_secret_that_the_agent_sends_back(
    echo: Callable[[bytes], bytes], header: bytes
) -> None:
    def script(connection: socket.socket, _: threading.Event) -> None:
        lines = connection.recv(65536).split(b"\r\n")
        (secret,) = (line for line in lines if line.lower().startswith(header))
        connection.sendall(echo(secret.partition(b": ")[2]) + b"\r\n\r\n")

    with scripted(script) as address:
        outcome = ask(address, PROOF)

    assert isinstance(outcome, Failure) or outcome.body == b""
    assert not [secret for secret in PROOF_HEADERS if secret in repr(outcome)]


# Connections that are kept.


class Keeping:
    """An agent that keeps its connections, and does with the requests of each what a list says."""

    def __init__(self, *connections: list[bytes | None]) -> None:
        self._waiting = iter(connections)
        self.asked: list[list[bytes]] = []

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        mine: list[bytes] = []
        self.asked.append(mine)
        for said in next(self._waiting):
            mine.append(connection.recv(65536))
            if said is None:
                over.wait()
                return
            connection.sendall(said)

    def paths(self) -> list[list[bytes]]:
        """What was asked on each connection."""
        return [[request.split()[1] for request in mine if request] for mine in self.asked]


TOLD = OK + b"Content-Length: 4\r\n\r\ntold"
SILENCE = b""


def test_a_connection_is_kept() -> None:
    agent = Keeping([TOLD, TOLD, TOLD])
    with scripted(agent) as address, transport(address) as made:
        replies = [made.get(path, PATIENCE) for path in ("/1", "/2", "/3")]

    assert replies == [Reply(200, b"told")] * 3
    assert agent.paths() == [[b"/1", b"/2", b"/3"]]


def test_a_connection_over_tls_is_kept_too(ca_file: Path, server_context: ServerContext) -> None:
    context = server_context()
    with tls_agent(context) as address, transport(address, tls=Tls(ca_file=ca_file)) as made:
        replies = [made.get(SELF_PATH, PATIENCE) for _ in range(2)]

    assert replies == [recorded(SERVER)] * 2
    assert context.session_stats()["accept_good"] == 1


def test_a_kept_connection_that_the_agent_closes_at_the_next_question_is_tried_once_more() -> None:
    agent = Keeping([TOLD, SILENCE], [TOLD])
    with scripted(agent) as address, transport(address) as made:
        replies = [made.get(path, PATIENCE) for path in ("/1", "/2")]

    assert replies == [Reply(200, b"told")] * 2
    assert agent.paths() == [[b"/1", b"/2"], [b"/2"]]


def test_it_is_tried_once_more_and_not_twice() -> None:
    agent = Keeping([TOLD, SILENCE], [SILENCE], [TOLD])
    with scripted(agent) as address, transport(address) as made:
        made.get("/1", PATIENCE)
        failed = made.get("/2", PATIENCE)

    assert failed == CUT_OFF
    assert agent.paths() == [[b"/1", b"/2"], [b"/2"]]


def test_a_fresh_connection_that_the_agent_closes_is_not_tried_again() -> None:
    agent = Keeping([SILENCE], [TOLD])
    with scripted(agent) as address, transport(address) as made:
        failed = made.get("/1", PATIENCE)

    assert failed == CUT_OFF
    assert agent.paths() == [[b"/1"]]


def test_a_kept_connection_that_was_closed_since_is_replaced() -> None:
    agent = Keeping([OK + b"Connection: close\r\nContent-Length: 4\r\n\r\ntold"], [TOLD])
    with scripted(agent) as address, transport(address) as made:
        replies = [made.get(path, PATIENCE) for path in ("/1", "/2")]

    assert replies == [Reply(200, b"told")] * 2
    assert agent.paths() == [[b"/1"], [b"/2"]]


def test_a_question_on_a_kept_connection_has_a_time_of_its_own() -> None:
    agent = Keeping([TOLD, None])
    with scripted(agent) as address, transport(address) as made:
        made.get("/1", PATIENCE)
        began = time.monotonic()
        failed = made.get("/2", 0.1)
        took = time.monotonic() - began

    assert failed == Failure(FailureReason.TIMEOUT, "no whole answer within 100ms")
    assert took < PATIENCE / 2


def test_after_a_failure_the_next_question_has_a_connection_of_its_own() -> None:
    agent = Keeping([OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"], [TOLD])
    with scripted(agent) as address, transport(address) as made:
        outcomes = [made.get(path, PATIENCE) for path in ("/1", "/2")]

    assert isinstance(outcomes[0], Failure)
    assert outcomes[1] == Reply(200, b"told")


def test_a_cookie_is_not_kept() -> None:
    agent = Keeping([OK + b"Set-Cookie: a=b\r\nContent-Length: 4\r\n\r\ntold", TOLD])
    with scripted(agent) as address, transport(address) as made:
        made.get("/1", PATIENCE)
        made.get("/2", PATIENCE)

    ((_, second),) = agent.asked
    assert b"cookie" not in second.lower()


def test_two_threads_may_ask_at_the_same_time() -> None:
    together = threading.Barrier(2)
    replies: list[Reply | Failure] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        together.wait(PATIENCE)
        connection.sendall(TOLD)

    with scripted(script) as address, transport(address) as made:
        threads = [threading.Thread(target=lambda: replies.append(made.get("/", PATIENCE))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert replies == [Reply(200, b"told")] * 2


# The end.


def closed_while_it_asks(made: Transport, path: str, hangs: threading.Event) -> list[Reply | Failure]:
    """What a question gave that hung while its transport was closed; it must have ended by that."""
    outcomes: list[Reply | Failure] = []
    thread = threading.Thread(target=lambda: outcomes.append(made.get(path, 600)))
    thread.start()
    assert hangs.wait(PATIENCE)
    made.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return outcomes


def test_closing_ends_a_question_that_hangs() -> None:
    hangs = threading.Event()
    outcomes: list[Reply | Failure] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        hangs.set()
        over.wait()

    with scripted(script) as address, transport(address) as made:
        outcomes = closed_while_it_asks(made, "/", hangs)

    assert outcomes == [CUT_OFF]


def test_after_the_end_nothing_is_asked() -> None:
    with RecordedAgent(SERVER) as agent, transport(agent.address) as made:
        made.close()
        failed = made.get(SELF_PATH, PATIENCE)

    assert failed == CUT_OFF
    assert agent.asked == []


# The library under it.


def test_the_wire_is_requests_own_so_that_its_tools_can_patch_it() -> None:
    with responses.RequestsMock() as mocked:
        mocked.get("http://127.0.0.1:4646/v1/agent/self", status=403, body=b"Permission denied")
        reply = ask(Address("http", LOOPBACK, 4646))
        ((request, _),) = mocked.calls

    assert reply == Reply(403, b"Permission denied")
    assert request.headers["X-Nomad-Token"] == TOKEN


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        pytest.param(requests.exceptions.InvalidHeader(TOKEN), NOT_HTTP, id="an error of requests alone"),
        pytest.param(requests.exceptions.ConnectionError(ConnectionResetError(104)), CUT_OFF, id="an error inside it"),
    ],
)
def test_an_error_of_requests_is_told_by_its_innermost_cause(error: Exception, failed: Failure) -> None:
    with responses.RequestsMock() as mocked:
        mocked.get("http://127.0.0.1:4646/v1/agent/self", body=error)
        outcome = ask(Address("http", LOOPBACK, 4646))

    assert outcome == failed


def test_closing_leaves_no_connection_open() -> None:
    with RecordedAgent(SERVER) as agent:
        made = Transport(Agent("s1", agent.address), Contexts())
        made.get(SELF_PATH, PATIENCE)
        adapter = made._adapter
        assert adapter
        (sock,) = adapter.pool.live
        made.close()

    assert sock.fileno() == -1


MISSING = Path("/missing")


@pytest.mark.parametrize(
    ("credentials", "tls", "detail"),
    [
        pytest.param(
            Credentials(token_file=MISSING / "token"), Tls(), "/missing/token: No such file or directory", id="token"
        ),
        pytest.param(
            Credentials(), Tls(ca_file=MISSING / "ca.pem"), "/missing/ca.pem: No such file or directory", id="CA"
        ),
        pytest.param(
            Credentials(),
            Tls(ca_file=Path(__file__)),
            f"{__file__}: not a CA certificate in PEM form",
            id="a CA of another form",
        ),
        pytest.param(
            Credentials(),
            Tls(skip_verify=True, cert_file=MISSING / "cli.pem", key_file=MISSING / "key.pem"),
            "/missing/cli.pem: No such file or directory",
            id="client certificate",
        ),
    ],
)
def test_a_credential_file_that_cannot_be_used_is_named(credentials: Credentials, tls: Tls, detail: str) -> None:
    failed = ask(Address("https", LOOPBACK, free_port()), credentials, tls)

    assert failed == Failure(FailureReason.CREDENTIALS, detail)


def test_an_agent_that_takes_no_connection() -> None:
    with full() as port:
        failed = ask(Address("http", LOOPBACK, port), seconds=0.1)

    assert failed == Failure(FailureReason.TIMEOUT, "no connection within 100ms")


def test_a_connection_that_is_reset_as_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(*_: object) -> BoundedSocket:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr("nomad_exporter.nomad.connections.connect", reset)

    assert ask(Address("http", LOOPBACK, 4646)) == CUT_OFF


def test_an_agent_that_has_another_name_than_expected(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context("server.global.nomad")) as address:
        failed = ask(address, tls=Tls(ca_file=ca_file, server_name="client.global.nomad"))

    why = "Hostname mismatch, certificate is not valid for 'client.global.nomad'."
    assert failed == Failure(FailureReason.TLS, REFUSED_CERTIFICATE + why)


def test_after_the_first_byte_of_an_answer_nothing_is_tried_again() -> None:
    asked: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(TOLD)
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200")
        end_without_a_farewell(connection)

    with scripted(script) as address, transport(address) as made:
        made.get("/1", PATIENCE)
        failed = made.get("/2", PATIENCE)

    assert failed == CUT_OFF
    assert len(asked) == 2


def test_what_the_second_try_fails_of_is_told() -> None:
    agent = Keeping([TOLD, SILENCE], [None])
    with scripted(agent) as address, transport(address) as made:
        made.get("/1", PATIENCE)
        failed = made.get("/2", 0.1)

    assert failed == Failure(FailureReason.TIMEOUT, "no whole answer within 100ms")


def test_closing_ends_a_question_that_hangs_on_a_kept_connection_and_asks_no_more() -> None:
    hangs = threading.Event()
    connections: list[socket.socket] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        connections.append(connection)
        connection.recv(65536)
        connection.sendall(TOLD)
        connection.recv(65536)
        hangs.set()
        over.wait()

    with scripted(script) as address, transport(address) as made:
        made.get("/1", PATIENCE)
        outcomes = closed_while_it_asks(made, "/2", hangs)

    assert outcomes == [CUT_OFF]
    assert len(connections) == 1


def test_closing_ends_a_handshake_that_hangs() -> None:
    hangs = threading.Event()

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        hangs.set()
        over.wait()

    with scripted(script) as address, transport(https(address), tls=Tls(skip_verify=True)) as made:
        outcomes = closed_while_it_asks(made, "/", hangs)

    assert outcomes == [CUT_OFF]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        pytest.param(Address("http", "fe80::1", 4646), "Invalid argument", id="a link-local address, no interface"),
        pytest.param(Address("unix", path="/etc/passwd/api.sock"), "Not a directory", id="a socket below a file"),
        pytest.param(Address("unix", path="/" + "x" * 200), "AF_UNIX path too long", id="a path too long"),
    ],
)
def test_an_address_that_nobody_can_connect_to(address: Address, why: str) -> None:
    failed = ask(address)

    assert isinstance(failed, Failure)
    assert failed.reason is FailureReason.UNREACHABLE
    assert why in failed.detail


@pytest.mark.parametrize("host", ["*", ".example"])
def test_a_host_name_that_no_url_can_hold(host: str) -> None:
    assert ask(Address("http", host, 4646)) == Failure(FailureReason.DNS, "the host name is not one")


@pytest.mark.parametrize("chunks", [b"", b"4\r\ntold\r\n"], ids=["before the first", "between two"])
def test_an_answer_that_ends_where_a_chunk_should_begin_is_cut_off(chunks: bytes) -> None:
    with scripted(sending(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)) as address:
        assert ask(address) == CUT_OFF


def test_a_password_that_is_no_unicode_is_sent_as_the_bytes_that_it_was() -> None:
    with RecordedAgent(SERVER) as agent:
        ask(agent.address, Credentials(basic_auth=Secret("poller:\udcff")))

    assert asked_by(agent)["authorization"] == "Basic cG9sbGVyOv8="


def test_a_token_that_no_header_can_carry_leaves_the_last_one_in_use(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("last")
    with RecordedAgent(SERVER) as agent, transport(agent.address, Credentials(token_file=file)) as made:
        made.get(SELF_PATH, PATIENCE)
        file.write_text("two\nlines")
        reply = made.get(SELF_PATH, PATIENCE)

    assert reply == recorded(SERVER)
