"""The expiry time of an agent's certificate that the exporter refuses: from a handshake without a request."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret, Tls
from nomad_exporter.nomad.connections import Network
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import SELF, Reply
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import Script, scripted
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow  # Real sockets.

LOOPBACK = "127.0.0.1"
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
CREDENTIALS = Credentials(token=Secret("5ecret00-70ce-4aaa-bbbb-0123456789ab"))

EXPIRED = Failure(FailureReason.CERTIFICATE_EXPIRED, "cannot verify agent certificate: certificate has expired")
UNTRUSTED = Failure(FailureReason.TLS, "cannot verify agent certificate: unable to get local issuer certificate")


class TlsAgent:
    """An agent that sends one response on each connection.

    The n-th connection has the n-th of ``contexts``, or is closed at once if that is None; the last one is repeated.
    ``requests`` has what was received after each complete handshake, ``client_certificates`` the certificates.
    """

    def __init__(self, *contexts: ssl.SSLContext | None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.client_certificates: list[bytes | None] = []
        self._contexts = itertools.chain(contexts, itertools.repeat(contexts[-1]))

    def __call__(self, connection: socket.socket, stopping: threading.Event) -> None:
        self.connections += 1
        context = next(self._contexts)
        if context is None:
            return
        with context.wrap_socket(connection, server_side=True) as tls:
            self.client_certificates.append(tls.getpeercert(binary_form=True))
            self.requests.append(tls.recv(65536))
            if self.requests[-1]:
                tls.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")


@contextlib.contextmanager
def transport(agent: Script, tls: Tls) -> Iterator[Transport]:
    """Yield a transport to ``agent``, which is served meanwhile."""
    with scripted(agent) as address:
        https = Address("https", address.host, address.port)
        opened = Transport(Agent("s1", https, CREDENTIALS, tls), Contexts(), Network())
        with contextlib.closing(opened):
            yield opened


def get(wire: Transport, seconds: float = PATIENCE) -> Reply | Failure:
    return wire.get(SELF.path, seconds)


def context(ca: trustme.CA, not_after: datetime, name: str = LOOPBACK) -> ssl.SSLContext:
    """Return the context of an agent whose certificate expires at ``not_after``."""
    new = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=not_after).configure_cert(new)
    return new


@pytest.fixture(scope="module")
def expired(ca: trustme.CA) -> ssl.SSLContext:
    return context(ca, PAST)


@pytest.fixture(scope="module")
def valid(ca: trustme.CA) -> ssl.SSLContext:
    return context(ca, FUTURE)


@pytest.fixture(scope="module")
def untrusted() -> ssl.SSLContext:
    return context(trustme.CA(), FUTURE)


def test_expiry_of_expired_certificate_is_read_without_a_request(
    expired: ssl.SSLContext, ca_file: Path, client_files: tuple[Path, Path]
) -> None:
    agent, (cert_file, key_file) = TlsAgent(expired), client_files
    with transport(agent, Tls(ca_file=ca_file, cert_file=cert_file, key_file=key_file)) as wire:
        assert get(wire) == EXPIRED
        assert wire.certificates.peer == PAST.timestamp()

    assert (agent.requests, agent.client_certificates) == ([b""], [None])


def test_expiry_of_untrusted_certificate_is_read(untrusted: ssl.SSLContext, ca_file: Path) -> None:
    agent = TlsAgent(untrusted)
    with transport(agent, Tls(ca_file=ca_file)) as wire:
        assert get(wire) == UNTRUSTED
        assert wire.certificates.peer == FUTURE.timestamp()

    assert agent.requests == [b""]


def test_expiry_of_certificate_for_another_name_is_read(ca: trustme.CA, ca_file: Path) -> None:
    agent = TlsAgent(context(ca, FUTURE, "client.global.nomad"))
    with transport(agent, Tls(ca_file=ca_file, server_name="server.global.nomad")) as wire:
        get(wire)
        assert wire.certificates.peer == FUTURE.timestamp()


def test_refused_certificate_replaces_the_expiry_of_a_valid_one(
    valid: ssl.SSLContext, expired: ssl.SSLContext, ca_file: Path
) -> None:
    with transport(TlsAgent(valid, expired), Tls(ca_file=ca_file)) as wire:
        assert get(wire) == Reply(200, b"{}")
        assert wire.certificates.peer == FUTURE.timestamp()
        assert get(wire) == EXPIRED
        assert wire.certificates.peer == PAST.timestamp()


def test_expiry_is_read_once_while_the_same_failure_lasts(expired: ssl.SSLContext, ca_file: Path) -> None:
    agent = TlsAgent(expired)
    with transport(agent, Tls(ca_file=ca_file)) as wire:
        assert [get(wire) for _ in range(3)] == [EXPIRED] * 3
        assert wire.certificates.peer == PAST.timestamp()

    assert agent.connections == 4


def test_expiry_is_read_again_after_a_success(valid: ssl.SSLContext, expired: ssl.SSLContext, ca_file: Path) -> None:
    agent = TlsAgent(expired, expired, valid, expired)
    with transport(agent, Tls(ca_file=ca_file)) as wire:
        assert [get(wire), get(wire), get(wire), get(wire)] == [EXPIRED, Reply(200, b"{}"), EXPIRED, EXPIRED]
        assert wire.certificates.peer == PAST.timestamp()

    assert agent.connections == 6


def test_expiry_is_read_again_after_another_failure(
    untrusted: ssl.SSLContext, expired: ssl.SSLContext, ca_file: Path
) -> None:
    agent = TlsAgent(expired, expired, untrusted, untrusted, expired)
    with transport(agent, Tls(ca_file=ca_file)) as wire:
        assert [get(wire), get(wire), get(wire)] == [EXPIRED, UNTRUSTED, EXPIRED]
        assert wire.certificates.peer == PAST.timestamp()

    assert agent.connections == 6


def test_expiry_is_read_again_with_new_tls_files(
    untrusted: ssl.SSLContext, ca_file: Path, other_ca_file: Path, tmp_path: Path
) -> None:
    file, agent = tmp_path / "ca.pem", TlsAgent(untrusted)
    file.write_bytes(ca_file.read_bytes())
    with transport(agent, Tls(ca_file=file)) as wire:
        assert get(wire) == UNTRUSTED
        (tmp_path / "new.pem").write_bytes(other_ca_file.read_bytes())
        (tmp_path / "new.pem").rename(file)
        assert get(wire) == UNTRUSTED
        assert wire.certificates.peer == FUTURE.timestamp()


def test_expiry_is_unknown_if_the_second_handshake_fails(
    valid: ssl.SSLContext, expired: ssl.SSLContext, ca_file: Path
) -> None:
    with transport(TlsAgent(valid, expired, None), Tls(ca_file=ca_file)) as wire:
        get(wire)
        assert get(wire) == EXPIRED
        assert wire.certificates.peer is None


def stalling_after(first: ssl.SSLContext) -> tuple[Script, threading.Event]:
    """Return a script that stalls every handshake but the first, and an event that is set then."""
    agent, stalled = TlsAgent(first), threading.Event()

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        if agent.connections:
            stalled.set()
            stopping.wait()
        else:
            agent(connection, stopping)

    return script, stalled


def test_second_handshake_ends_with_the_timeout_of_the_request(expired: ssl.SSLContext, ca_file: Path) -> None:
    script, stalled = stalling_after(expired)
    with transport(script, Tls(ca_file=ca_file)) as wire:
        began = time.monotonic()
        assert get(wire, seconds=1.0) == EXPIRED
        assert time.monotonic() - began < PATIENCE / 2
        assert wire.certificates.peer is None

    assert stalled.is_set()


def test_closed_transport_ends_the_second_handshake(expired: ssl.SSLContext, ca_file: Path) -> None:
    script, stalled = stalling_after(expired)
    with transport(script, Tls(ca_file=ca_file)) as wire:
        thread = threading.Thread(target=get, args=(wire,))
        thread.start()
        assert stalled.wait(PATIENCE)
        wire.close()
        thread.join(PATIENCE / 2)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("version", "expiry"), [(ssl.TLSVersion.TLSv1_3, PAST.timestamp()), (ssl.TLSVersion.TLSv1_2, None)]
)
def test_agent_that_requires_a_client_certificate_shows_its_own_in_tls_1_3(
    version: ssl.TLSVersion, expiry: float | None, ca: trustme.CA, ca_file: Path
) -> None:
    # In TLS 1.2 the handshake fails without a client certificate; the exporter must not send its own unverified.
    verifying = context(ca, PAST)
    ca.configure_trust(verifying)
    verifying.verify_mode, verifying.maximum_version = ssl.CERT_REQUIRED, version
    with transport(TlsAgent(verifying), Tls(ca_file=ca_file)) as wire:
        assert get(wire) == EXPIRED
        assert wire.certificates.peer == expiry


def test_skip_verify_has_one_connection(expired: ssl.SSLContext) -> None:
    agent = TlsAgent(expired)
    with transport(agent, Tls(skip_verify=True)) as wire:
        assert get(wire) == Reply(200, b"{}")
        assert wire.certificates.peer == PAST.timestamp()

    assert agent.connections == 1


def test_other_failure_keeps_the_expiry(valid: ssl.SSLContext, ca_file: Path) -> None:
    agent = TlsAgent(valid, None)
    with transport(agent, Tls(ca_file=ca_file)) as wire:
        get(wire)
        assert isinstance(get(wire), Failure)
        assert wire.certificates.peer == FUTURE.timestamp()

    assert agent.connections == 2
