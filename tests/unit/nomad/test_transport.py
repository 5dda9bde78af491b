"""The transport on real sockets: a GET returns a reply or a precise failure, and never shows a secret."""

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
from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.nomad.connections import LimitedSocket, Network
from nomad_exporter.nomad.errors import classify
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, MIB, SELF, SOURCES, Reply, Source
from nomad_exporter.nomad.sources.health import STALE_PATH
from nomad_exporter.nomad.tls import Certificates, Contexts, Trust
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import RecordedAgent, Script, answer, free_port, scripted
from tests.support.answers import recorded
from tests.support.waiting import PATIENCE
from tests.unit.nomad.test_connections import full_listen_queue

pytestmark = pytest.mark.slow  # Real sockets and timeouts.

ServerContext = Callable[..., ssl.SSLContext]

SERVER = "2.0.5/healthy/s1-follower"
LOOPBACK = "127.0.0.1"

TOKEN = "5ecret00-70ce-4aaa-bbbb-0123456789ab"
PASSWORD = "passw0rd"
CREDENTIALS = Credentials(token=Secret(TOKEN), basic_auth=Secret(f"poller:{PASSWORD}"))
SECRET_VALUES = (TOKEN, PASSWORD, "cG9sbGVyOnBhc3N3MHJk")

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSED = Failure(FailureReason.RESET, "connection closed before the response was complete")
NOT_HTTP = Failure(FailureReason.PROTOCOL, "response is not valid HTTP")
LONG_HEAD = Failure(FailureReason.TOO_LARGE, "response is larger than 64 KiB")
LONG_BODY = Failure(FailureReason.TOO_LARGE, "response is larger than 1 MiB")
MANY_CHUNKS = Failure(FailureReason.PROTOCOL, "response has too many small chunks")


@contextlib.contextmanager
def transport(address: Address, credentials: Credentials = CREDENTIALS, tls: Tls = Tls()) -> Iterator[Transport]:  # noqa: B008  # Frozen.
    """Yield a transport to an agent, and close it afterwards."""
    opened = Transport(Agent("s1", address, credentials, tls), Contexts(), Network())
    with contextlib.closing(opened):
        yield opened


def send_request(
    address: Address,
    credentials: Credentials = CREDENTIALS,
    tls: Tls = Tls(),  # noqa: B008  # Frozen.
    seconds: float = PATIENCE,
    path: str = SELF.path,
    body_limit: int = MIB,
) -> Reply | Failure:
    """Send one request and return its outcome."""
    with transport(address, credentials, tls) as wire:
        return wire.get(path, seconds, body_limit)


def https(address: Address) -> Address:
    return Address("https", address.host, address.port)


def sending(response: bytes) -> Script:
    """Return a script that reads a request, sends ``response`` and closes."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(response)

    return script


def headers_of(agent: RecordedAgent) -> dict[str, str]:
    """Return the headers of the only request to the agent."""
    ((_, headers),) = agent.requests
    return headers


# Replies.


def test_complete_response_is_a_reply() -> None:
    with RecordedAgent(SERVER) as agent:
        assert send_request(agent.address) == recorded(SERVER)


def test_zone_of_ipv6_address_is_not_sent() -> None:
    requests_received: list[bytes] = []
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:

        def respond() -> None:
            connection, _ = server.accept()
            with connection:
                requests_received.append(connection.recv(65536))
                connection.sendall(OK + b"Content-Length: 0\r\n\r\n")

        thread = threading.Thread(target=respond)
        thread.start()
        port = server.getsockname()[1]
        outcome = send_request(Address("http", f"::1%{socket.if_nametoindex('lo')}", port))
        thread.join(PATIENCE)

    assert outcome == Reply(200, b"")
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in requests_received[0]


def test_path_is_sent_unchanged() -> None:
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, path=STALE_PATH)

    assert [path for path, _ in agent.requests] == ["/v1/agent/health?stale"]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 429, 500, 501, 503])
def test_every_status_is_a_reply(status: int) -> None:
    with scripted(answer(b"" if status == 204 else b"body", b"HTTP/1.1 %d Status" % status)) as address:
        assert send_request(address) == Reply(status, b"" if status == 204 else b"body")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(OK + b"Content-Length: 4\r\n\r\nbody", id="with Content-Length"),
        pytest.param(OK + b"\r\nbody", id="until the connection closes"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", id="chunked"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nbody", id="HTTP 1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 4\r\n\r\nbody", id="after status 100"),
        pytest.param(OK + b"Content-Encoding: identity\r\nContent-Length: 4\r\n\r\nbody", id="identity encoding"),
    ],
)
def test_body_is_read(response: bytes) -> None:
    with scripted(sending(response)) as address:
        assert send_request(address) == Reply(200, b"body")


def test_redirect_is_not_followed() -> None:
    with RecordedAgent(SERVER) as other:
        response = b"HTTP/1.1 307 Elsewhere\r\nLocation: %b/ui/\r\nContent-Length: 0\r\n\r\n" % other.url.encode()
        with scripted(sending(response)) as address:
            reply = send_request(address)

    assert reply == Reply(307, b"")
    assert other.requests == []


def test_request_is_sent_over_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("u") / "api.sock"
    requests_seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            requests_seen.append(connection.recv(65536))
            connection.sendall(OK + b"Content-Length: 4\r\n\r\nbody")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        reply = send_request(Address("unix", path=str(path)))
        thread.join()

    assert reply == Reply(200, b"body")
    assert requests_seen[0].startswith(b"GET /v1/agent/self HTTP/1.1\r\nHost: 127.0.0.1\r\n")


# Requests.


def test_request_has_expected_headers() -> None:
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, Credentials())

    headers = headers_of(agent)
    assert headers["user-agent"] == f"nomad-exporter/{__version__}"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == agent.address.host_port


def test_no_credentials_are_sent_by_default() -> None:
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, Credentials())

    assert not {"x-nomad-token", "authorization", "cookie"} & headers_of(agent).keys()


def test_token_and_password_are_sent_as_headers() -> None:
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, CREDENTIALS)

    headers = headers_of(agent)
    assert headers["x-nomad-token"] == TOKEN
    assert headers["authorization"] == "Basic cG9sbGVyOnBhc3N3MHJk"


def test_password_is_sent_as_utf_8() -> None:
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, Credentials(basic_auth=Secret("poller:pässwörd")))

    assert headers_of(agent)["authorization"] == "Basic cG9sbGVyOnDDpHNzd8O2cmQ="


def test_token_file_takes_precedence_over_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken-in-the-file\n")
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, Credentials(token=Secret(TOKEN), token_file=tmp_path / "token"))

    assert headers_of(agent)["x-nomad-token"] == "t0ken-in-the-file"


def test_token_file_is_read_for_every_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with RecordedAgent(SERVER) as agent, transport(agent.address, Credentials(token_file=file)) as wire:
        for token in ("old", "new"):
            file.write_text(token)
            wire.get(SELF.path, PATIENCE)

    assert [headers["x-nomad-token"] for _, headers in agent.requests] == ["old", "new"]


@pytest.mark.parametrize("status", [401, 403, 500])
def test_rejected_token_is_retried_if_file_changed(tmp_path: Path, status: int) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    tokens: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        for response in (b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status, COMPLETE):
            tokens.append(connection.recv(65536).partition(b"X-Nomad-Token: ")[2].split()[0])
            file.write_text("new")
            connection.sendall(response)

    with scripted(script) as address:
        reply = send_request(address, Credentials(token_file=file))

    assert reply == Reply(200, b"body")
    assert tokens == [b"old", b"new"]


def test_rejected_token_is_retried_only_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("0")
    tokens = iter(range(1, 100))

    def script(connection: socket.socket, _: threading.Event) -> None:
        while connection.recv(65536):
            file.write_text(str(next(tokens)))
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    with scripted(script) as address:
        reply = send_request(address, Credentials(token_file=file))

    assert reply == Reply(403, b"")
    assert next(tokens) == 3


def test_rejected_token_is_not_retried_if_unchanged(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with RecordedAgent("2.0.5/acl/unknown") as agent:
        reply = send_request(agent.address, Credentials(token_file=tmp_path / "token"))

    assert reply == recorded("2.0.5/acl/unknown")
    assert len(agent.requests) == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: path.write_text("\n"), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), id="not UTF-8"),
    ],
)
def test_unusable_token_file_keeps_the_previous_token(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    file = tmp_path / "token"
    file.write_text("last")
    with RecordedAgent(SERVER) as agent, transport(agent.address, Credentials(token_file=file)) as wire:
        wire.get(SELF.path, PATIENCE)
        damage(file)
        wire.get(SELF.path, PATIENCE)

    assert [headers["x-nomad-token"] for _, headers in agent.requests] == ["last", "last"]


def test_empty_token_file_prevents_the_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with RecordedAgent(SERVER) as agent:
        failure = send_request(agent.address, Credentials(token_file=tmp_path / "token"))

    assert failure == Failure(FailureReason.CREDENTIALS, f"{tmp_path / 'token'}: file is empty")
    assert agent.requests == []


def test_environment_does_not_affect_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password anything")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with RecordedAgent(SERVER) as agent:
        reply = send_request(agent.address, Credentials())

    assert reply == recorded(SERVER)
    assert "authorization" not in headers_of(agent)


# Failures of the connection.


def test_closed_port_is_refused() -> None:
    assert send_request(Address("http", LOOPBACK, free_port())) == Failure(FailureReason.REFUSED, "connection refused")


def test_missing_socket_is_refused(tmp_path: Path) -> None:
    failure = send_request(Address("unix", path=str(tmp_path / "api.sock")))

    assert failure == Failure(FailureReason.REFUSED, "no such socket")


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Switch from root, who can open every socket, to another user."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_socket_without_permission_is_a_credentials_failure(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    path = tmp_path_factory.mktemp("u") / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        request.getfixturevalue("ordinary_user")
        failure = send_request(Address("unix", path=str(path)))

    assert failure == Failure(FailureReason.CREDENTIALS, "permission denied (socket permissions or firewall)")


def test_address_without_route_is_unreachable() -> None:
    failure = send_request(
        Address("http", "127.255.255.255", 4646)
    )  # The broadcast address, which TCP cannot connect to.

    assert failure == Failure(FailureReason.UNREACHABLE, "no route to host")


def test_unknown_host_name_is_a_dns_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert send_request(Address("http", "nomad.example", 4646)) == Failure(
        FailureReason.DNS, "cannot resolve host name"
    )


@pytest.mark.parametrize("host", ["nomad..example", "x" * 70, "exämple..de"], ids=["dots", "long", "IDN"])
def test_invalid_host_name_is_a_dns_failure(host: str) -> None:
    assert send_request(Address("http", host, 4646)) == Failure(FailureReason.DNS, "invalid host name")


def test_address_takes_its_time_to_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: Any, **options: Any) -> Any:
        if not options.get("flags"):
            released.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "no nameserver")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    wire = Transport(Agent("s1", Address("http", "nomad.example", 4646)), Contexts(), Network())

    assert wire.get(SELF.path, 0.05) == Failure(FailureReason.DNS, "cannot resolve host name")
    released.set()


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (requests.ConnectionError(OSError(errno.ENFILE, "Too many open files in system")), "in system"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
    ids=["files", "wrapped", "threads"],
)
def test_lack_of_resources_is_the_exporters_own_fault(error: Exception, detail: str) -> None:
    failure = classify(error, 4.0)

    assert failure.reason is FailureReason.INTERNAL
    assert failure.detail.startswith("the exporter lacks resources: ")
    assert detail in failure.detail


def test_token_file_without_a_free_descriptor_is_no_credentials_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_text", refuse)

    with pytest.raises(OSError, match="Too many open files"):
        tls.read(tmp_path / "token")


# Failures of HTTP.


def reset(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(65536)
    reset_on_close(connection)


def reset_on_close(connection: socket.socket) -> None:
    """Make the close of the connection a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stalling(response: bytes) -> Script:
    """Return a script that sends ``response`` and then nothing."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(response)
        over.wait()

    return script


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        pytest.param(sending(b""), CLOSED, id="closed without a response"),
        pytest.param(reset, CLOSED, id="reset"),
        pytest.param(sending(OK + b"Content-Length: 10\r\n\r\nbody"), CLOSED, id="closed in the body"),
        pytest.param(sending(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbo"), CLOSED, id="closed in a chunk"),
        pytest.param(sending(b"SSH-2.0-OpenSSH_9.6\r\n"), NOT_HTTP, id="another protocol"),
        pytest.param(sending(b"HTTP/2 200\r\n\r\n"), NOT_HTTP, id="another HTTP"),
        pytest.param(sending(b"HTTP/1.1 two-hundred OK\r\n\r\n"), NOT_HTTP, id="status is not a number"),
        pytest.param(sending(OK + b"X: %b\r\n\r\n" % (b"x" * 80_000)), LONG_HEAD, id="too long header"),
        pytest.param(sending(b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000), LONG_HEAD, id="too many responses 100"),
        pytest.param(sending(CHUNKED + b"-1\r\n" + bytes(3 * MIB)), LONG_BODY, id="chunk of size -1"),
        pytest.param(sending(CHUNKED + b"0\r\n" + b"X: x\r\n" * 500_000), LONG_BODY, id="too many trailers"),
        pytest.param(sending(CHUNKED + b"1\r\nx\r\n" * 50_000), MANY_CHUNKS, id="too many chunks"),
        pytest.param(sending(OK + b"X: x\r\n" * 200 + b"\r\n"), NOT_HTTP, id="too many headers"),
        pytest.param(
            sending(OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody"), NOT_HTTP, id="two different lengths"
        ),
        pytest.param(
            sending(OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
            Failure(FailureReason.PROTOCOL, "response has an unsupported Content-Encoding"),
            id="compressed, though empty",
        ),
    ],
)
def test_invalid_response_is_a_failure(script: Script, failure: Failure) -> None:
    with scripted(script) as address:
        assert send_request(address) == failure


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"", id="before the status"),
        pytest.param(OK, id="after the status"),
        pytest.param(OK + b"Content-Length: 10\r\n\r\nbody", id="in the body"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", id="between two chunks"),
    ],
)
def test_stalled_response_times_out(response: bytes) -> None:
    with scripted(stalling(response)) as address:
        failure = send_request(address, seconds=0.1)

    assert failure == Failure(FailureReason.TIMEOUT, "no complete response within 100ms")


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_body_of_maximum_size_is_read(source: Source[Any]) -> None:
    body = b"x" * source.body_limit
    with scripted(answer(body)) as address:
        assert send_request(address, path=source.path, body_limit=source.body_limit) == Reply(200, body)


@pytest.mark.parametrize("size", [pytest.param(2048, id="Nomad's"), pytest.param(100, id="small")])
def test_chunked_body_is_read(size: int) -> None:
    body = bytes(819_200)
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, body[at : at + size]) for at in range(0, len(body), size))
    with scripted(sending(CHUNKED + chunks + b"0\r\n\r\n")) as address:
        assert send_request(address) == Reply(200, body)


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        pytest.param(SELF, "response is larger than 512 KiB", id="self"),
        pytest.param(MEMBERS, "response is larger than 2 MiB", id="members"),
        pytest.param(HEALTH, "response is larger than 64 KiB", id="health"),
    ],
)
def test_larger_body_is_rejected(source: Source[Any], detail: str) -> None:
    with scripted(answer(b"x" * (source.body_limit + 1))) as address:
        outcome = send_request(address, path=source.path, body_limit=source.body_limit)

    assert outcome == Failure(FailureReason.TOO_LARGE, detail)


# Failures of TLS.


@contextlib.contextmanager
def tls_agent(context: ssl.SSLContext) -> Iterator[Address]:
    with RecordedAgent(SERVER, context) as agent:
        yield agent.address


def test_request_is_sent_over_tls(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context()) as address:
        assert send_request(address, tls=Tls(ca_file=ca_file)) == recorded(SERVER)


def test_client_certificate_is_sent_to_agent(
    ca_file: Path, client_files: tuple[Path, Path], server_context: ServerContext
) -> None:
    cert_file, key_file = client_files
    with tls_agent(server_context(requires_certificate=True)) as address:
        reply = send_request(address, tls=Tls(ca_file=ca_file, cert_file=cert_file, key_file=key_file))

    assert reply == recorded(SERVER)


def test_server_name_is_verified(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context("server.global.nomad")) as address:
        assert send_request(address, tls=Tls(ca_file=ca_file, server_name="server.global.nomad")) == recorded(SERVER)


def test_skip_verify_sends_request_without_warning(server_context: ServerContext) -> None:
    with tls_agent(server_context("anything")) as address:
        assert send_request(address, tls=Tls(skip_verify=True)) == recorded(SERVER)


def test_expiry_times_of_both_certificates_are_known(
    ca: trustme.CA, ca_file: Path, tmp_path: Path, server_context: ServerContext
) -> None:
    peer, own = datetime(2040, 1, 1, tzinfo=UTC), datetime(2039, 1, 1, tzinfo=UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(LOOPBACK, not_after=peer).configure_cert(context)
    cert_file = tmp_path / "cli.pem"
    ca.issue_cert("cli.global.nomad", not_after=own).private_key_and_cert_chain_pem.write_to_path(cert_file)
    tls = Tls(ca_file=ca_file, cert_file=cert_file, key_file=cert_file)
    with tls_agent(context) as address, transport(address, tls=tls) as wire:
        before = wire.certificates
        wire.get(SELF.path, PATIENCE)

    assert before == Certificates()
    assert wire.certificates == Certificates(peer=peer.timestamp(), own=own.timestamp())


def test_plain_http_has_no_certificates() -> None:
    with RecordedAgent(SERVER) as agent, transport(agent.address) as wire:
        wire.get(SELF.path, PATIENCE)

    assert wire.certificates == Certificates()


def test_revoked_ca_closes_its_connections(
    tmp_path: Path, ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(ca_file.read_bytes())
    with tls_agent(server_context()) as address, transport(address, tls=Tls(ca_file=file)) as wire:
        reply = wire.get(SELF.path, PATIENCE)
        (tmp_path / "new.pem").write_bytes(other_ca_file.read_bytes())
        (tmp_path / "new.pem").rename(file)
        failure = wire.get(SELF.path, PATIENCE)

    assert reply == recorded(SERVER)
    assert failure == Failure(FailureReason.TLS, UNVERIFIED + "unable to get local issuer certificate")


UNVERIFIED = "cannot verify agent certificate: "


def test_agent_of_another_ca_is_a_tls_failure(other_ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context()) as address:
        failure = send_request(address, tls=Tls(ca_file=other_ca_file))

    assert failure == Failure(FailureReason.TLS, UNVERIFIED + "unable to get local issuer certificate")


def test_certificate_for_another_address_is_a_tls_failure(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context("server.global.nomad")) as address:
        failure = send_request(address, tls=Tls(ca_file=ca_file))

    message = "IP address mismatch, certificate is not valid for '127.0.0.1'."
    assert failure == Failure(FailureReason.TLS, UNVERIFIED + message)


def test_expired_certificate_has_a_reason_of_its_own(ca: trustme.CA, ca_file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired = ca.issue_cert(
        LOOPBACK, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=datetime(2020, 1, 1, tzinfo=UTC)
    )
    expired.configure_cert(context)
    with tls_agent(context) as address:
        failure = send_request(address, tls=Tls(ca_file=ca_file))

    assert failure == Failure(FailureReason.CERTIFICATE_EXPIRED, UNVERIFIED + "certificate has expired")


def demanding(context: ssl.SSLContext) -> Script:
    """Return a script for a TLS handshake; after a rejection it reads to the end, so that the client gets the alert."""

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


def test_missing_client_certificate_is_a_tls_failure(ca_file: Path, server_context: ServerContext) -> None:
    with scripted(demanding(server_context(requires_certificate=True))) as address:
        failure = send_request(https(address), tls=Tls(ca_file=ca_file))

    assert failure == Failure(FailureReason.TLS, "agent requires a client certificate")


def test_client_certificate_of_another_ca_is_a_tls_failure(
    ca_file: Path, other_client_file: Path, server_context: ServerContext
) -> None:
    with scripted(demanding(server_context(requires_certificate=True))) as address:
        failure = send_request(
            https(address), tls=Tls(ca_file=ca_file, cert_file=other_client_file, key_file=other_client_file)
        )

    assert failure == Failure(FailureReason.TLS, "agent does not trust the CA of the client certificate")


def test_agent_with_tls_1_1_is_a_tls_failure(ca_file: Path, server_context: ServerContext) -> None:
    context = server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is deprecated, and tested for that reason.
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tls_agent(context) as address:
        failure = send_request(address, tls=Tls(ca_file=ca_file))

    assert failure == Failure(FailureReason.TLS, "agent does not support TLS 1.2 or later")


def alert(number: int) -> Script:
    """Return a script that answers the handshake with a fatal TLS alert."""
    return stalling(b"\x15\x03\x03\x00\x02\x02%c" % number)


TLS_1_1_HELLO = b"\x03\x02" + b"random" * 5 + b"!!" + b"\x00" + b"\xc0\x14" + b"\x00"


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        pytest.param(
            sending(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "agent speaks plain HTTP, but its address starts with https://",
            id="plain HTTP",
        ),
        pytest.param(
            stalling(b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26" + TLS_1_1_HELLO),
            "agent does not support TLS 1.2 or later",
            id="server hello of TLS 1.1",
        ),
        pytest.param(alert(70), "agent does not support TLS 1.2 or later", id="protocol_version"),
        pytest.param(alert(42), "agent rejected the client certificate, or requires one", id="bad_certificate"),
        pytest.param(alert(48), "agent does not trust the CA of the client certificate", id="unknown_ca"),
        pytest.param(alert(116), "agent requires a client certificate", id="certificate_required"),
        pytest.param(alert(40), "TLS handshake failed", id="handshake_failure"),
    ],
)
def test_failed_handshake_has_a_detail(ca_file: Path, script: Script, detail: str) -> None:
    with scripted(script) as address:
        failure = send_request(https(address), tls=Tls(ca_file=ca_file))

    assert failure == Failure(FailureReason.TLS, detail)


def test_expired_client_certificate_has_a_reason_of_its_own(ca_file: Path) -> None:
    with scripted(alert(45)) as address:
        failure = send_request(https(address), tls=Tls(ca_file=ca_file))

    assert failure == Failure(FailureReason.CERTIFICATE_EXPIRED, "client certificate has expired")


def test_closed_connection_in_handshake_is_a_reset(ca_file: Path) -> None:
    with scripted(sending(b"")) as address:
        assert send_request(https(address), tls=Tls(ca_file=ca_file)) == CLOSED


def test_stalled_handshake_times_out(ca_file: Path) -> None:
    with scripted(stalling(b"")) as address:
        failure = send_request(https(address), tls=Tls(ca_file=ca_file), seconds=0.1)

    assert failure == Failure(FailureReason.TIMEOUT, "no complete response within 100ms")


# Failures of the exporter.


def test_unprintable_token_is_not_sent_or_quoted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n{TOKEN}")
    with RecordedAgent(SERVER) as agent:
        failure = send_request(agent.address, Credentials(token_file=tmp_path / "token"))

    assert failure == Failure(FailureReason.CREDENTIALS, f"{tmp_path}/token: must be one line of printable ASCII")
    assert agent.requests == []


def test_ca_directory_without_ca_is_a_credentials_failure(tmp_path: Path) -> None:
    failure = send_request(Address("https", LOOPBACK, free_port()), tls=Tls(ca_path=tmp_path))

    assert failure == Failure(FailureReason.CREDENTIALS, f"{tmp_path}: no CA certificate in this directory")


def test_unknown_exception_is_internal_and_not_quoted() -> None:
    assert classify(KeyError(TOKEN), 4.0) == Failure(FailureReason.INTERNAL, "internal error: KeyError")


def test_get_never_raises() -> None:
    class Broken(Contexts):
        def get(self, tls: Tls) -> Trust:
            raise KeyError(TOKEN)

    wire = Transport(Agent("s1", Address("https", LOOPBACK, 4646)), Broken(), Network())

    assert wire.get(SELF.path, PATIENCE) == Failure(FailureReason.INTERNAL, "internal error: KeyError")


@pytest.mark.parametrize(
    "echo",
    [
        pytest.param(lambda value: value, id="unchanged"),
        pytest.param(lambda value: b"HTTP/1.1 " + value, id="as a status"),
        pytest.param(lambda value: OK + b"Content-Length: " + value, id="as a length"),
        pytest.param(lambda value: OK + b"Content-Encoding: " + value, id="as an encoding"),
        pytest.param(lambda value: OK + b"Transfer-Encoding: chunked\r\n\r\n" + value, id="as a chunk"),
    ],
)
@pytest.mark.parametrize("header", [b"x-nomad-token", b"authorization"], ids=["the token", "the password"])
def test_failure_never_quotes_an_echoed_secret(echo: Callable[[bytes], bytes], header: bytes) -> None:
    def script(connection: socket.socket, _: threading.Event) -> None:
        lines = connection.recv(65536).split(b"\r\n")
        (secret,) = (line for line in lines if line.lower().startswith(header))
        connection.sendall(echo(secret.partition(b": ")[2]) + b"\r\n\r\n")

    with scripted(script) as address:
        outcome = send_request(address, CREDENTIALS)

    assert isinstance(outcome, Failure) or outcome.body == b""
    assert not [secret for secret in SECRET_VALUES if secret in repr(outcome)]


# Reused connections.


class KeepAliveAgent:
    """An agent with a list of responses for each connection; None means that the agent does not respond."""

    def __init__(self, *connections: list[bytes | None]) -> None:
        self._responses = iter(connections)
        self.requests: list[list[bytes]] = []

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        received: list[bytes] = []
        self.requests.append(received)
        for response in next(self._responses):
            received.append(connection.recv(65536))
            if response is None:
                over.wait()
                return
            connection.sendall(response)

    def paths(self) -> list[list[bytes]]:
        """Return the paths requested on each connection."""
        return [[request.split()[1] for request in received if request] for received in self.requests]


COMPLETE = OK + b"Content-Length: 4\r\n\r\nbody"
NOTHING = b""


def test_connection_is_reused() -> None:
    agent = KeepAliveAgent([COMPLETE, COMPLETE, COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        replies = [wire.get(path, PATIENCE) for path in ("/1", "/2", "/3")]

    assert replies == [Reply(200, b"body")] * 3
    assert agent.paths() == [[b"/1", b"/2", b"/3"]]


def test_tls_connection_is_reused(ca_file: Path, server_context: ServerContext) -> None:
    context = server_context()
    with tls_agent(context) as address, transport(address, tls=Tls(ca_file=ca_file)) as wire:
        replies = [wire.get(SELF.path, PATIENCE) for _ in range(2)]

    assert replies == [recorded(SERVER)] * 2
    assert context.session_stats()["accept_good"] == 1


def test_request_is_retried_if_reused_connection_closes() -> None:
    agent = KeepAliveAgent([COMPLETE, NOTHING], [COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        replies = [wire.get(path, PATIENCE) for path in ("/1", "/2")]

    assert replies == [Reply(200, b"body")] * 2
    assert agent.paths() == [[b"/1", b"/2"], [b"/2"]]


def test_request_is_retried_only_once() -> None:
    agent = KeepAliveAgent([COMPLETE, NOTHING], [NOTHING], [COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        wire.get("/1", PATIENCE)
        failure = wire.get("/2", PATIENCE)

    assert failure == CLOSED
    assert agent.paths() == [[b"/1", b"/2"], [b"/2"]]


def test_request_on_new_connection_is_not_retried() -> None:
    agent = KeepAliveAgent([NOTHING], [COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        failure = wire.get("/1", PATIENCE)

    assert failure == CLOSED
    assert agent.paths() == [[b"/1"]]


def test_closed_idle_connection_is_replaced() -> None:
    agent = KeepAliveAgent([OK + b"Connection: close\r\nContent-Length: 4\r\n\r\nbody"], [COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        replies = [wire.get(path, PATIENCE) for path in ("/1", "/2")]

    assert replies == [Reply(200, b"body")] * 2
    assert agent.paths() == [[b"/1"], [b"/2"]]


def test_each_request_has_its_own_deadline() -> None:
    agent = KeepAliveAgent([COMPLETE, None])
    with scripted(agent) as address, transport(address) as wire:
        wire.get("/1", PATIENCE)
        start = time.monotonic()
        failure = wire.get("/2", 0.1)
        took = time.monotonic() - start

    assert failure == Failure(FailureReason.TIMEOUT, "no complete response within 100ms")
    assert took < PATIENCE / 2


def test_failure_closes_the_connection() -> None:
    agent = KeepAliveAgent([OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"], [COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        outcomes = [wire.get(path, PATIENCE) for path in ("/1", "/2")]

    assert isinstance(outcomes[0], Failure)
    assert outcomes[1] == Reply(200, b"body")


def test_cookies_are_not_kept() -> None:
    agent = KeepAliveAgent([OK + b"Set-Cookie: a=b\r\nContent-Length: 4\r\n\r\nbody", COMPLETE])
    with scripted(agent) as address, transport(address) as wire:
        wire.get("/1", PATIENCE)
        wire.get("/2", PATIENCE)

    ((_, second),) = agent.requests
    assert b"cookie" not in second.lower()


def test_two_threads_can_send_at_the_same_time() -> None:
    together = threading.Barrier(2)
    replies: list[Reply | Failure] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        together.wait(PATIENCE)
        connection.sendall(COMPLETE)

    with scripted(script) as address, transport(address) as wire:
        threads = [threading.Thread(target=lambda: replies.append(wire.get("/", PATIENCE))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert replies == [Reply(200, b"body")] * 2


# Close.


def close_during_request(wire: Transport, path: str, hangs: threading.Event) -> list[Reply | Failure]:
    """Close the transport during a hanging request, and return the outcome of the request."""
    outcomes: list[Reply | Failure] = []
    thread = threading.Thread(target=lambda: outcomes.append(wire.get(path, 600)))
    thread.start()
    assert hangs.wait(PATIENCE)
    wire.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return outcomes


def test_close_ends_a_hanging_request() -> None:
    hangs = threading.Event()
    outcomes: list[Reply | Failure] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        hangs.set()
        over.wait()

    with scripted(script) as address, transport(address) as wire:
        outcomes = close_during_request(wire, "/", hangs)

    assert outcomes == [CLOSED]


def test_closed_transport_sends_nothing() -> None:
    with RecordedAgent(SERVER) as agent, transport(agent.address) as wire:
        wire.close()
        failure = wire.get(SELF.path, PATIENCE)

    assert failure == CLOSED
    assert agent.requests == []


# The library requests.


def test_transport_can_be_mocked_by_responses() -> None:
    with responses.RequestsMock() as mocked:
        mocked.get("http://127.0.0.1:4646/v1/agent/self", status=403, body=b"Permission denied")
        reply = send_request(Address("http", LOOPBACK, 4646))
        ((request, _),) = mocked.calls

    assert reply == Reply(403, b"Permission denied")
    assert request.headers["X-Nomad-Token"] == TOKEN


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        pytest.param(requests.exceptions.InvalidHeader(TOKEN), NOT_HTTP, id="error of requests alone"),
        pytest.param(requests.exceptions.ConnectionError(ConnectionResetError(104)), CLOSED, id="error with a cause"),
    ],
)
def test_innermost_cause_determines_the_failure(error: Exception, failure: Failure) -> None:
    with responses.RequestsMock() as mocked:
        mocked.get("http://127.0.0.1:4646/v1/agent/self", body=error)
        outcome = send_request(Address("http", LOOPBACK, 4646))

    assert outcome == failure


def test_close_leaves_no_socket_open() -> None:
    with RecordedAgent(SERVER) as agent:
        wire = Transport(Agent("s1", agent.address), Contexts(), Network())
        wire.get(SELF.path, PATIENCE)
        adapter = wire._adapter
        assert adapter
        (sock,) = adapter.pool.open_sockets
        wire.close()

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
            f"{__file__}: not a CA certificate in PEM format",
            id="CA in another format",
        ),
        pytest.param(
            Credentials(),
            Tls(skip_verify=True, cert_file=MISSING / "cli.pem", key_file=MISSING / "key.pem"),
            "/missing/cli.pem: No such file or directory",
            id="client certificate",
        ),
    ],
)
def test_failure_names_unusable_credential_file(credentials: Credentials, tls: Tls, detail: str) -> None:
    failure = send_request(Address("https", LOOPBACK, free_port()), credentials, tls)

    assert failure == Failure(FailureReason.CREDENTIALS, detail)


def test_full_listen_queue_times_out() -> None:
    with full_listen_queue() as port:
        failure = send_request(Address("http", LOOPBACK, port), seconds=0.1)

    assert failure == Failure(FailureReason.TIMEOUT, "no connection within 100ms")


def test_reset_during_connect_is_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(*_: object) -> LimitedSocket:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr("nomad_exporter.nomad.connections.connect", reset)

    assert send_request(Address("http", LOOPBACK, 4646)) == CLOSED


def test_another_server_name_is_a_tls_failure(ca_file: Path, server_context: ServerContext) -> None:
    with tls_agent(server_context("server.global.nomad")) as address:
        failure = send_request(address, tls=Tls(ca_file=ca_file, server_name="client.global.nomad"))

    message = "Hostname mismatch, certificate is not valid for 'client.global.nomad'."
    assert failure == Failure(FailureReason.TLS, UNVERIFIED + message)


def test_request_is_not_retried_after_first_byte() -> None:
    received: list[bytes] = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        received.append(connection.recv(65536))
        connection.sendall(COMPLETE)
        received.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200")
        reset_on_close(connection)

    with scripted(script) as address, transport(address) as wire:
        wire.get("/1", PATIENCE)
        failure = wire.get("/2", PATIENCE)

    assert failure == CLOSED
    assert len(received) == 2


def test_failure_is_that_of_the_retry() -> None:
    agent = KeepAliveAgent([COMPLETE, NOTHING], [None])
    with scripted(agent) as address, transport(address) as wire:
        wire.get("/1", PATIENCE)
        failure = wire.get("/2", 0.1)

    assert failure == Failure(FailureReason.TIMEOUT, "no complete response within 100ms")


def test_close_ends_a_hanging_request_without_retry() -> None:
    hangs = threading.Event()
    connections: list[socket.socket] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        connections.append(connection)
        connection.recv(65536)
        connection.sendall(COMPLETE)
        connection.recv(65536)
        hangs.set()
        over.wait()

    with scripted(script) as address, transport(address) as wire:
        wire.get("/1", PATIENCE)
        outcomes = close_during_request(wire, "/2", hangs)

    assert outcomes == [CLOSED]
    assert len(connections) == 1


def test_close_ends_a_hanging_handshake() -> None:
    hangs = threading.Event()

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        hangs.set()
        over.wait()

    with scripted(script) as address, transport(https(address), tls=Tls(skip_verify=True)) as wire:
        outcomes = close_during_request(wire, "/", hangs)

    assert outcomes == [CLOSED]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        pytest.param(Address("http", "fe80::1", 4646), "Invalid argument", id="link-local address without interface"),
        pytest.param(Address("unix", path="/etc/passwd/api.sock"), "Not a directory", id="socket below a file"),
        pytest.param(Address("unix", path="/" + "x" * 200), "AF_UNIX path too long", id="too long path"),
    ],
)
def test_unusable_address_is_unreachable(address: Address, message: str) -> None:
    failure = send_request(address)

    assert isinstance(failure, Failure)
    assert failure.reason is FailureReason.UNREACHABLE
    assert message in failure.detail


@pytest.mark.parametrize("host", ["*", ".example"])
def test_host_name_invalid_in_url_is_a_dns_failure(host: str) -> None:
    assert send_request(Address("http", host, 4646)) == Failure(FailureReason.DNS, "invalid host name")


@pytest.mark.parametrize("chunks", [b"", b"4\r\nbody\r\n"], ids=["before the first chunk", "between two chunks"])
def test_response_truncated_between_chunks_is_a_reset(chunks: bytes) -> None:
    with scripted(sending(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)) as address:
        assert send_request(address) == CLOSED


def test_password_with_invalid_unicode_is_sent_as_bytes() -> None:
    with RecordedAgent(SERVER) as agent:
        send_request(agent.address, Credentials(basic_auth=Secret("poller:\udcff")))

    assert headers_of(agent)["authorization"] == "Basic cG9sbGVyOv8="


def test_unprintable_token_keeps_the_previous_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("last")
    with RecordedAgent(SERVER) as agent, transport(agent.address, Credentials(token_file=file)) as wire:
        wire.get(SELF.path, PATIENCE)
        file.write_text("two\nlines")
        reply = wire.get(SELF.path, PATIENCE)

    assert reply == recorded(SERVER)
