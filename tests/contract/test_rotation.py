"""Rotation of tokens, CAs and certificates over real TLS: no request fails meanwhile."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.nomad.connections import Network
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import SELF, Reply
from nomad_exporter.nomad.tls import Certificates, Contexts
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import RecordedAgent, answer, scripted
from tests.support.answers import recorded
from tests.support.waiting import PATIENCE, eventually

SERVER = "2.0.5/healthy/s1-follower"
LOOPBACK = "127.0.0.1"
ANSWER = recorded(SERVER)
AGENT_EXPIRY = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
CLIENT_EXPIRY = datetime(2032, 6, 7, 8, 9, 10, tzinfo=UTC)


class TlsAgent(RecordedAgent):
    """A recorded agent over TLS that closes every connection after one response, so that each request has a handshake.

    ``client_serials`` lists the serial numbers of the client certificates; 0 for a request without one.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(SERVER, context)
        self.client_serials: list[int] = []

    def __enter__(self) -> TlsAgent:
        super().__enter__()
        return self

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        connection: Any = handler.connection
        self.client_serials.append(int((connection.getpeercert() or {}).get("serialNumber", "0"), 16))
        super().respond(handler)
        handler.close_connection = True


@dataclass(frozen=True)
class Files:
    """The credential files for an agent, in one folder."""

    folder: Path

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def cert(self) -> Path:
        return self.folder / "cli.pem"

    @property
    def key(self) -> Path:
        return self.folder / "cli-key.pem"

    @property
    def tls(self) -> Tls:
        return Tls(ca_file=self.ca, cert_file=self.cert, key_file=self.key)

    def replace_pair(self, leaf: trustme.LeafCert) -> None:
        """Replace the client certificate and its key by those of ``leaf``."""
        replace_file(self.cert, leaf.cert_chain_pems[0].bytes())
        replace_file(self.key, leaf.private_key_pem.bytes())


def replace_file(file: Path, content: bytes) -> None:
    """Replace a file atomically, as tools for secrets do."""
    (file.parent / "new").write_bytes(content)
    (file.parent / "new").replace(file)


def describe(outcome: Reply | Failure) -> str:
    """Return ``ok``, ``untrusted`` if the agent's certificate was rejected, or else the outcome as text."""
    if (
        isinstance(outcome, Failure)
        and outcome.reason is FailureReason.TLS
        and outcome.detail.startswith("cannot verify agent certificate")
    ):
        return "untrusted"
    return "ok" if outcome == ANSWER else str(outcome)


def serial(leaf: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number


def server_side(ca: trustme.CA, **leaf: Any) -> ssl.SSLContext:
    """Return the TLS context of an agent whose certificate and clients are signed by ``ca``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(LOOPBACK, **leaf).configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@contextlib.contextmanager
def transport(address: Address, tls: Tls | None = None, credentials: Credentials | None = None) -> Iterator[Transport]:
    opened = Transport(Agent("s1", address, credentials or Credentials(), tls or Tls()), Contexts(), Network())
    with contextlib.closing(opened):
        yield opened


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def new_ca() -> trustme.CA:
    return trustme.CA()


# Tokens.


@pytest.fixture
def token_agent(files: Files) -> Iterator[tuple[RecordedAgent, Transport]]:
    """Yield an agent and a transport that has sent one request with the token ``old`` from the file."""
    replace_file(files.token, b"old\n")
    with (
        RecordedAgent(SERVER) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        assert wire.get(SELF.path, PATIENCE) == ANSWER
        yield agent, wire


def tokens(agent: RecordedAgent) -> list[str]:
    return [headers["x-nomad-token"] for _, headers in agent.requests]


def test_next_request_has_the_new_token(files: Files, token_agent: tuple[RecordedAgent, Transport]) -> None:
    agent, wire = token_agent
    replace_file(files.token, b"new\n")

    assert wire.get(SELF.path, PATIENCE) == ANSWER
    assert tokens(agent) == ["old", "new"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(b" \n"), id="white space"),
        pytest.param(lambda file: file.write_bytes(b"\xff\xfe"), id="not UTF-8"),
        pytest.param(Path.unlink, id="missing"),
    ],
)
def test_last_token_is_kept_while_its_file_is_invalid(
    files: Files, token_agent: tuple[RecordedAgent, Transport], damage: Callable[[Path], object]
) -> None:
    agent, wire = token_agent
    damage(files.token)
    meanwhile = wire.get(SELF.path, PATIENCE)
    replace_file(files.token, b"new")
    after = wire.get(SELF.path, PATIENCE)

    assert [meanwhile, after] == [ANSWER, ANSWER]
    assert tokens(agent) == ["old", "old", "new"]


class TokenChecker(RecordedAgent):
    """An agent that accepts one token only, and calls ``before_rejection`` before it rejects any other."""

    def __init__(self, status: int, accepted: str, before_rejection: Callable[[], None]) -> None:
        super().__init__(SERVER)
        self._status, self._accepted, self._before_rejection = status, accepted, before_rejection

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["X-Nomad-Token"] == self._accepted:
            super().respond(handler)
            return
        self.requests.append((handler.path, {"x-nomad-token": handler.headers["X-Nomad-Token"]}))
        self._before_rejection()
        handler.send_response(self._status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


REJECTIONS = pytest.mark.parametrize("status", [401, 403, 500])


@REJECTIONS
def test_rejected_token_is_replaced_and_retried_at_once(files: Files, status: int) -> None:
    replace_file(files.token, b"old")
    with (
        TokenChecker(status, "new", lambda: replace_file(files.token, b"new")) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        reply = wire.get(SELF.path, PATIENCE)

    assert reply == ANSWER
    assert tokens(agent) == ["old", "new"]


@REJECTIONS
def test_rejected_token_is_retried_only_once(files: Files, status: int) -> None:
    numbers = iter(range(100))
    replace_file(files.token, b"old")
    with (
        TokenChecker(status, "never", lambda: replace_file(files.token, b"new-%d" % next(numbers))) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        reply = wire.get(SELF.path, PATIENCE)

    assert reply == Reply(status, b"")
    assert tokens(agent) == ["old", "new-0"]


@REJECTIONS
def test_unchanged_token_is_not_retried(files: Files, status: int) -> None:
    replace_file(files.token, b"old")
    with (
        TokenChecker(status, "new", lambda: None) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        reply = wire.get(SELF.path, PATIENCE)

    assert reply == Reply(status, b"")
    assert tokens(agent) == ["old"]


def test_token_of_the_environment_is_not_retried() -> None:
    with (
        TokenChecker(403, "new", lambda: None) as agent,
        transport(agent.address, credentials=Credentials(token=Secret("old"))) as wire,
    ):
        reply = wire.get(SELF.path, PATIENCE)

    assert reply == Reply(403, b"")
    assert tokens(agent) == ["old"]


def test_retry_has_only_the_rest_of_the_timeout(files: Files) -> None:
    replace_file(files.token, b"old")

    def script(connection: Any, stopping: threading.Event) -> None:
        if b"old" in connection.recv(65536):
            replace_file(files.token, b"new")
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        stopping.wait()

    with (
        scripted(script) as address,
        transport(address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        failed = wire.get(SELF.path, 0.2)

    assert failed == Failure(FailureReason.TIMEOUT, "no complete response within 200ms")


# CAs.


def test_new_ca_rejects_an_agent_of_the_old_ca(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        before = describe(wire.get(SELF.path, PATIENCE))
        replace_file(files.ca, new_ca.cert_pem.bytes())
        after = describe(wire.get(SELF.path, PATIENCE))

    assert [before, after] == ["ok", "untrusted"]


def test_new_ca_rejects_an_agent_with_an_open_connection(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    with RecordedAgent(SERVER, server_side(ca)) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        before = describe(wire.get(SELF.path, PATIENCE))
        replace_file(files.ca, new_ca.cert_pem.bytes())
        after = describe(wire.get(SELF.path, PATIENCE))

    assert [before, after] == ["ok", "untrusted"]


def test_ca_removed_from_the_folder_is_not_trusted(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    folder = files.folder / "cas"
    folder.mkdir()
    (folder / "old.pem").write_bytes(ca.cert_pem.bytes())
    (folder / "new.pem").write_bytes(new_ca.cert_pem.bytes())
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, Tls(ca_path=folder)) as wire:
        before = describe(wire.get(SELF.path, PATIENCE))
        (folder / "old.pem").unlink()
        after = describe(wire.get(SELF.path, PATIENCE))

    assert [before, after] == ["ok", "untrusted"]


def test_agent_with_a_new_ca_is_trusted_once_the_file_has_it(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    side = server_side(ca)
    replace_file(files.ca, ca.cert_pem.bytes())
    with TlsAgent(side) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        outcomes = [describe(wire.get(SELF.path, PATIENCE))]
        new_ca.issue_cert(LOOPBACK).configure_cert(side)
        outcomes.append(describe(wire.get(SELF.path, PATIENCE)))
        replace_file(files.ca, new_ca.cert_pem.bytes())
        outcomes.append(describe(wire.get(SELF.path, PATIENCE)))

    assert outcomes == ["ok", "untrusted", "ok"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:300]), id="half written"),
        pytest.param(Path.unlink, id="missing"),
    ],
)
def test_last_ca_is_kept_while_its_file_is_invalid(
    files: Files, ca: trustme.CA, new_ca: trustme.CA, damage: Callable[[Path], object]
) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        outcomes = [describe(wire.get(SELF.path, PATIENCE))]
        damage(files.ca)
        outcomes.append(describe(wire.get(SELF.path, PATIENCE)))
        replace_file(files.ca, new_ca.cert_pem.bytes())
        outcomes.append(describe(wire.get(SELF.path, PATIENCE)))

    assert outcomes == ["ok", "ok", "untrusted"]


# Client certificates.


def test_new_pair_is_used_once_it_is_complete(files: Files, ca: trustme.CA) -> None:
    old, new = ca.issue_cert("old.global.nomad"), ca.issue_cert("new.global.nomad")
    replace_file(files.ca, ca.cert_pem.bytes())
    files.replace_pair(old)
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, files.tls) as wire:
        outcomes = [wire.get(SELF.path, PATIENCE)]
        replace_file(files.cert, new.cert_chain_pems[0].bytes())
        outcomes.append(wire.get(SELF.path, PATIENCE))
        replace_file(files.key, new.private_key_pem.bytes())
        outcomes.append(wire.get(SELF.path, PATIENCE))

    assert outcomes == [ANSWER] * 3
    assert agent.client_serials == [serial(old), serial(old), serial(new)]


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_last_pair_is_kept_while_a_file_is_missing(files: Files, ca: trustme.CA, missing: str) -> None:
    old, new = ca.issue_cert("old.global.nomad"), ca.issue_cert("new.global.nomad")
    replace_file(files.ca, ca.cert_pem.bytes())
    files.replace_pair(old)
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, files.tls) as wire:
        outcomes = [wire.get(SELF.path, PATIENCE)]
        getattr(files, missing).unlink()
        outcomes.append(wire.get(SELF.path, PATIENCE))
        files.replace_pair(new)
        outcomes.append(wire.get(SELF.path, PATIENCE))

    assert outcomes == [ANSWER] * 3
    assert agent.client_serials == [serial(old), serial(old), serial(new)]


def test_agents_with_shared_files_all_use_the_new_pair(files: Files, ca: trustme.CA) -> None:
    old, new = ca.issue_cert("old.global.nomad"), ca.issue_cert("new.global.nomad")
    replace_file(files.ca, ca.cert_pem.bytes())
    files.replace_pair(old)
    contexts = Contexts()
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(TlsAgent(server_side(ca))) for _ in range(3)]
        wires = [Transport(Agent("a", agent.address, tls=files.tls), contexts, Network()) for agent in agents]
        before = [wire.get(SELF.path, PATIENCE) for wire in wires]
        files.replace_pair(new)
        after = [wire.get(SELF.path, PATIENCE) for wire in wires]
        for wire in wires:
            wire.close()

    assert before == after == [ANSWER] * 3
    assert [agent.client_serials for agent in agents] == [[serial(old), serial(new)]] * 3


# Everything at the same time.


def wait_for_more(outcomes: Sequence[object]) -> None:
    """Wait until some more requests have both begun and ended."""
    before = len(outcomes)
    eventually(lambda: len(outcomes) > before + 4)


def test_no_request_fails_during_repeated_rotations(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    side = server_side(ca)
    new_ca.configure_trust(side)
    replace_file(files.ca, ca.cert_pem.bytes() + new_ca.cert_pem.bytes())
    replace_file(files.token, b"token-0")
    files.replace_pair(ca.issue_cert("cli-0.global.nomad"))
    stop = threading.Event()
    outcomes: list[Reply | Failure] = []

    def send_requests(wire: Transport) -> None:
        while not stop.is_set():
            outcomes.append(wire.get(SELF.path, PATIENCE))

    with (
        TlsAgent(side) as agent,
        transport(agent.address, files.tls, Credentials(token_file=files.token)) as wire,
    ):
        assert wire.get(SELF.path, PATIENCE) == ANSWER
        clients = [threading.Thread(target=send_requests, args=(wire,)) for _ in range(2)]
        for client in clients:
            client.start()
        for number in range(1, 11):
            authority = (ca, new_ca)[number % 2]
            for file, content in (
                (files.token, b"token-%d" % number),
                (files.cert, (leaf := authority.issue_cert(f"cli-{number}.global.nomad")).cert_chain_pems[0].bytes()),
                (files.key, leaf.private_key_pem.bytes()),
            ):
                file.write_bytes(content[: len(content) // 2] if file != files.token else b"")
                file.write_bytes(content)
            wait_for_more(outcomes)
        stop.set()
        for client in clients:
            client.join(PATIENCE)

    assert [outcome for outcome in outcomes if outcome != ANSWER] == []
    assert agent.client_serials[-1] == serial(leaf)
    assert agent.requests[-1][1]["x-nomad-token"] == "token-10"


# Expiry times of certificates.


def test_expiry_is_unknown_before_the_first_connection(files: Files) -> None:
    with transport(Address("https", LOOPBACK, 1), files.tls) as wire:
        assert wire.certificates == Certificates()


def test_plain_http_has_no_certificates() -> None:
    with scripted(answer(b"{}")) as address, transport(address) as wire:
        wire.get(SELF.path, PATIENCE)

        assert wire.certificates == Certificates()


def test_expiry_of_both_certificates_is_reported(files: Files, ca: trustme.CA) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    files.replace_pair(ca.issue_cert("cli.global.nomad", not_after=CLIENT_EXPIRY))
    with TlsAgent(server_side(ca, not_after=AGENT_EXPIRY)) as agent, transport(agent.address, files.tls) as wire:
        wire.get(SELF.path, PATIENCE)

        assert wire.certificates == Certificates(AGENT_EXPIRY.timestamp(), CLIENT_EXPIRY.timestamp())


def test_only_agent_expiry_without_a_client_certificate(files: Files, ca: trustme.CA) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    with (
        TlsAgent(server_side(ca, not_after=AGENT_EXPIRY)) as agent,
        transport(agent.address, Tls(ca_file=files.ca)) as wire,
    ):
        wire.get(SELF.path, PATIENCE)

        assert wire.certificates == Certificates(peer=AGENT_EXPIRY.timestamp())


def test_expiry_of_an_unverified_certificate_is_reported(ca: trustme.CA) -> None:
    with (
        TlsAgent(server_side(ca, not_after=AGENT_EXPIRY)) as agent,
        transport(agent.address, Tls(skip_verify=True)) as wire,
    ):
        assert wire.get(SELF.path, PATIENCE) == ANSWER
        assert wire.certificates == Certificates(peer=AGENT_EXPIRY.timestamp())


def test_expiry_follows_the_rotation_of_both_certificates(files: Files, ca: trustme.CA) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    files.replace_pair(ca.issue_cert("cli.global.nomad", not_after=CLIENT_EXPIRY))
    side = server_side(ca, not_after=AGENT_EXPIRY)
    later = Certificates(peer=CLIENT_EXPIRY.timestamp(), own=AGENT_EXPIRY.timestamp())
    with TlsAgent(side) as agent, transport(agent.address, files.tls) as wire:
        wire.get(SELF.path, PATIENCE)
        ca.issue_cert(LOOPBACK, not_after=CLIENT_EXPIRY).configure_cert(side)
        files.replace_pair(ca.issue_cert("cli.global.nomad", not_after=AGENT_EXPIRY))
        wire.get(SELF.path, PATIENCE)

        assert wire.certificates == later


def test_incomplete_new_pair_keeps_the_expiry_of_the_old_pair(files: Files, ca: trustme.CA) -> None:
    replace_file(files.ca, ca.cert_pem.bytes())
    files.replace_pair(ca.issue_cert("cli.global.nomad", not_after=CLIENT_EXPIRY))
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, files.tls) as wire:
        wire.get(SELF.path, PATIENCE)
        replace_file(files.cert, ca.issue_cert("cli.global.nomad", not_after=AGENT_EXPIRY).cert_chain_pems[0].bytes())
        wire.get(SELF.path, PATIENCE)

        assert wire.certificates.own == CLIENT_EXPIRY.timestamp()
