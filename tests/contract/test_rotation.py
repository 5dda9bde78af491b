"""Tokens, CAs and certificates that change under the exporter, over real TLS: no question fails meanwhile."""

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
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import SELF_PATH, Reply
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport
from tests.support.agents import RecordedAgent, answer, scripted
from tests.support.answers import recorded
from tests.support.waiting import PATIENCE, eventually

SERVER = "2.0.5/healthy/s1-follower"
LOOPBACK = "127.0.0.1"
ANSWER = recorded(SERVER)
PEER_ENDS = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
OWN_ENDS = datetime(2032, 6, 7, 8, 9, 10, tzinfo=UTC)


class TlsAgent(RecordedAgent):
    """A recorded agent over TLS that ends every connection after one answer, and so meets each of our contexts.

    ``shown`` are the serial numbers of the certificates that it was shown, 0 where it was shown none.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(SERVER, context)
        self.shown: list[int] = []

    def __enter__(self) -> TlsAgent:
        super().__enter__()
        return self

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        connection: Any = handler.connection
        self.shown.append(int((connection.getpeercert() or {}).get("serialNumber", "0"), 16))
        super().respond(handler)
        handler.close_connection = True


@dataclass(frozen=True)
class Files:
    """The credential files of an agent, in a folder."""

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

    def present(self, leaf: trustme.LeafCert) -> None:
        """The pair of ``leaf`` takes the place of the one before."""
        put(self.cert, leaf.cert_chain_pems[0].bytes())
        put(self.key, leaf.private_key_pem.bytes())


def put(file: Path, content: bytes) -> None:
    """Another file takes the place of ``file``, at once and whole, as tools for secrets do it."""
    (file.parent / "new").write_bytes(content)
    (file.parent / "new").replace(file)


def told(outcome: Reply | Failure) -> str:
    """Whether the agent ``answered``, or its certificate was ``refused``; else what came."""
    if (
        isinstance(outcome, Failure)
        and outcome.reason is FailureReason.TLS
        and "certificate was refused" in outcome.detail
    ):
        return "refused"
    return "answered" if outcome == ANSWER else str(outcome)


def serial(leaf: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number


def server_side(ca: trustme.CA, **leaf: Any) -> ssl.SSLContext:
    """The TLS side of an agent, of whose clients ``ca`` vouches too."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(LOOPBACK, **leaf).configure_cert(made)
    ca.configure_trust(made)
    made.verify_mode = ssl.CERT_OPTIONAL
    return made


@contextlib.contextmanager
def transport(address: Address, tls: Tls | None = None, credentials: Credentials | None = None) -> Iterator[Transport]:
    made = Transport(Agent("s1", address, credentials or Credentials(), tls or Tls()), Contexts())
    with contextlib.closing(made):
        yield made


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
def tokened(files: Files) -> Iterator[tuple[RecordedAgent, Transport]]:
    """An agent and the wire to it, which was asked once with the token ``old`` of the file."""
    put(files.token, b"old\n")
    with (
        RecordedAgent(SERVER) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        assert wire.get(SELF_PATH, PATIENCE) == ANSWER
        yield agent, wire


def tokens(agent: RecordedAgent) -> list[str]:
    return [headers["x-nomad-token"] for _, headers in agent.asked]


def test_the_next_question_has_the_new_token(files: Files, tokened: tuple[RecordedAgent, Transport]) -> None:
    agent, wire = tokened
    put(files.token, b"new\n")

    assert wire.get(SELF_PATH, PATIENCE) == ANSWER
    assert tokens(agent) == ["old", "new"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(b" \n"), id="of white space"),
        pytest.param(lambda file: file.write_bytes(b"\xff\xfe"), id="no text"),
        pytest.param(Path.unlink, id="gone"),
    ],
)
def test_a_token_file_that_is_of_no_use_for_a_moment_leaves_the_last_good_token(
    files: Files, tokened: tuple[RecordedAgent, Transport], spoil: Callable[[Path], object]
) -> None:
    agent, wire = tokened
    spoil(files.token)
    meanwhile = wire.get(SELF_PATH, PATIENCE)
    put(files.token, b"new")
    after = wire.get(SELF_PATH, PATIENCE)

    assert [meanwhile, after] == [ANSWER, ANSWER]
    assert tokens(agent) == ["old", "old", "new"]


class Judging(RecordedAgent):
    """An agent that accepts one token only; the first rejection comes after ``meanwhile`` was done."""

    def __init__(self, status: int, accepted: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(SERVER)
        self._status, self._accepted, self._meanwhile = status, accepted, meanwhile

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["X-Nomad-Token"] == self._accepted:
            super().respond(handler)
            return
        self.asked.append((handler.path, {"x-nomad-token": handler.headers["X-Nomad-Token"]}))
        self._meanwhile()
        handler.send_response(self._status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


REJECTIONS = pytest.mark.parametrize("status", [401, 403, 500])


@REJECTIONS
def test_a_token_that_is_rejected_while_its_file_has_a_new_one_is_tried_again_at_once(
    files: Files, status: int
) -> None:
    put(files.token, b"old")
    with (
        Judging(status, "new", lambda: put(files.token, b"new")) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        reply = wire.get(SELF_PATH, PATIENCE)

    assert reply == ANSWER
    assert tokens(agent) == ["old", "new"]


@REJECTIONS
def test_it_is_tried_again_once_and_not_for_ever(files: Files, status: int) -> None:
    numbers = iter(range(100))
    put(files.token, b"old")
    with (
        Judging(status, "never", lambda: put(files.token, b"new-%d" % next(numbers))) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        reply = wire.get(SELF_PATH, PATIENCE)

    assert reply == Reply(status, b"")
    assert tokens(agent) == ["old", "new-0"]


@REJECTIONS
def test_a_token_that_is_rejected_and_stays_is_not_tried_again(files: Files, status: int) -> None:
    put(files.token, b"old")
    with (
        Judging(status, "new", lambda: None) as agent,
        transport(agent.address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        reply = wire.get(SELF_PATH, PATIENCE)

    assert reply == Reply(status, b"")
    assert tokens(agent) == ["old"]


def test_a_token_of_the_environment_that_is_rejected_is_not_tried_again() -> None:
    with (
        Judging(403, "new", lambda: None) as agent,
        transport(agent.address, credentials=Credentials(token=Secret("old"))) as wire,
    ):
        reply = wire.get(SELF_PATH, PATIENCE)

    assert reply == Reply(403, b"")
    assert tokens(agent) == ["old"]


def test_the_second_try_has_only_the_time_that_the_first_one_left(files: Files) -> None:
    put(files.token, b"old")

    def script(connection: Any, over: threading.Event) -> None:
        if b"old" in connection.recv(65536):
            put(files.token, b"new")
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        over.wait()

    with (
        scripted(script) as address,
        transport(address, credentials=Credentials(token_file=files.token)) as wire,
    ):
        failed = wire.get(SELF_PATH, 0.2)

    assert failed == Failure(FailureReason.TIMEOUT, "no whole answer within 200ms")


# CAs.


def test_with_a_new_ca_an_agent_of_the_old_one_is_refused(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    put(files.ca, ca.cert_pem.bytes())
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        before = told(wire.get(SELF_PATH, PATIENCE))
        put(files.ca, new_ca.cert_pem.bytes())
        after = told(wire.get(SELF_PATH, PATIENCE))

    assert [before, after] == ["answered", "refused"]


def test_with_a_new_ca_an_agent_of_the_old_one_is_refused_though_its_connection_was_kept(
    files: Files, ca: trustme.CA, new_ca: trustme.CA
) -> None:
    put(files.ca, ca.cert_pem.bytes())
    with RecordedAgent(SERVER, server_side(ca)) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        before = told(wire.get(SELF_PATH, PATIENCE))
        put(files.ca, new_ca.cert_pem.bytes())
        after = told(wire.get(SELF_PATH, PATIENCE))

    assert [before, after] == ["answered", "refused"]


def test_a_ca_that_was_taken_out_of_the_folder_is_forgotten(files: Files, ca: trustme.CA, new_ca: trustme.CA) -> None:
    folder = files.folder / "cas"
    folder.mkdir()
    (folder / "old.pem").write_bytes(ca.cert_pem.bytes())
    (folder / "new.pem").write_bytes(new_ca.cert_pem.bytes())
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, Tls(ca_path=folder)) as wire:
        before = told(wire.get(SELF_PATH, PATIENCE))
        (folder / "old.pem").unlink()
        after = told(wire.get(SELF_PATH, PATIENCE))

    assert [before, after] == ["answered", "refused"]


def test_an_agent_that_moved_to_a_new_ca_is_asked_once_the_file_has_it(
    files: Files, ca: trustme.CA, new_ca: trustme.CA
) -> None:
    side = server_side(ca)
    put(files.ca, ca.cert_pem.bytes())
    with TlsAgent(side) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        outcomes = [told(wire.get(SELF_PATH, PATIENCE))]
        new_ca.issue_cert(LOOPBACK).configure_cert(side)
        outcomes.append(told(wire.get(SELF_PATH, PATIENCE)))
        put(files.ca, new_ca.cert_pem.bytes())
        outcomes.append(told(wire.get(SELF_PATH, PATIENCE)))

    assert outcomes == ["answered", "refused", "answered"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:300]), id="half written"),
        pytest.param(Path.unlink, id="gone"),
    ],
)
def test_a_ca_file_that_is_of_no_use_for_a_moment_leaves_the_last_good_trust(
    files: Files, ca: trustme.CA, new_ca: trustme.CA, spoil: Callable[[Path], object]
) -> None:
    put(files.ca, ca.cert_pem.bytes())
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, Tls(ca_file=files.ca)) as wire:
        outcomes = [told(wire.get(SELF_PATH, PATIENCE))]
        spoil(files.ca)
        outcomes.append(told(wire.get(SELF_PATH, PATIENCE)))
        put(files.ca, new_ca.cert_pem.bytes())
        outcomes.append(told(wire.get(SELF_PATH, PATIENCE)))

    assert outcomes == ["answered", "answered", "refused"]


# Client certificates.


def test_a_new_pair_is_presented_once_it_is_whole(files: Files, ca: trustme.CA) -> None:
    old, new = ca.issue_cert("old.global.nomad"), ca.issue_cert("new.global.nomad")
    put(files.ca, ca.cert_pem.bytes())
    files.present(old)
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, files.tls) as wire:
        outcomes = [wire.get(SELF_PATH, PATIENCE)]
        put(files.cert, new.cert_chain_pems[0].bytes())
        outcomes.append(wire.get(SELF_PATH, PATIENCE))
        put(files.key, new.private_key_pem.bytes())
        outcomes.append(wire.get(SELF_PATH, PATIENCE))

    assert outcomes == [ANSWER] * 3
    assert agent.shown == [serial(old), serial(old), serial(new)]


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_a_pair_of_which_half_is_gone_for_a_moment_is_presented_as_it_was(
    files: Files, ca: trustme.CA, missing: str
) -> None:
    old, new = ca.issue_cert("old.global.nomad"), ca.issue_cert("new.global.nomad")
    put(files.ca, ca.cert_pem.bytes())
    files.present(old)
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, files.tls) as wire:
        outcomes = [wire.get(SELF_PATH, PATIENCE)]
        getattr(files, missing).unlink()
        outcomes.append(wire.get(SELF_PATH, PATIENCE))
        files.present(new)
        outcomes.append(wire.get(SELF_PATH, PATIENCE))

    assert outcomes == [ANSWER] * 3
    assert agent.shown == [serial(old), serial(old), serial(new)]


def test_agents_that_share_their_files_all_present_the_new_pair(files: Files, ca: trustme.CA) -> None:
    old, new = ca.issue_cert("old.global.nomad"), ca.issue_cert("new.global.nomad")
    put(files.ca, ca.cert_pem.bytes())
    files.present(old)
    contexts = Contexts()
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(TlsAgent(server_side(ca))) for _ in range(3)]
        wires = [Transport(Agent("a", agent.address, tls=files.tls), contexts) for agent in agents]
        before = [wire.get(SELF_PATH, PATIENCE) for wire in wires]
        files.present(new)
        after = [wire.get(SELF_PATH, PATIENCE) for wire in wires]
        for wire in wires:
            wire.close()

    assert before == after == [ANSWER] * 3
    assert [agent.shown for agent in agents] == [[serial(old), serial(new)]] * 3


# All at once.


def wait_for_more(outcomes: Sequence[object]) -> None:
    """Returns once some more questions were asked from their beginning to their end."""
    so_far = len(outcomes)
    eventually(lambda: len(outcomes) > so_far + 4)


def test_no_question_fails_while_everything_is_replaced_over_and_over(
    files: Files, ca: trustme.CA, new_ca: trustme.CA
) -> None:
    side = server_side(ca)
    new_ca.configure_trust(side)
    put(files.ca, ca.cert_pem.bytes() + new_ca.cert_pem.bytes())
    put(files.token, b"token-0")
    files.present(ca.issue_cert("cli-0.global.nomad"))
    over = threading.Event()
    outcomes: list[Reply | Failure] = []

    def ask(wire: Transport) -> None:
        while not over.is_set():
            outcomes.append(wire.get(SELF_PATH, PATIENCE))

    with (
        TlsAgent(side) as agent,
        transport(agent.address, files.tls, Credentials(token_file=files.token)) as wire,
    ):
        assert wire.get(SELF_PATH, PATIENCE) == ANSWER
        askers = [threading.Thread(target=ask, args=(wire,)) for _ in range(2)]
        for asker in askers:
            asker.start()
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
        over.set()
        for asker in askers:
            asker.join(PATIENCE)

    assert [outcome for outcome in outcomes if outcome != ANSWER] == []
    assert agent.shown[-1] == serial(leaf)
    assert agent.asked[-1][1]["x-nomad-token"] == "token-10"


# When certificates expire.


def test_before_the_first_connection_nothing_is_known_of_certificates(files: Files) -> None:
    with transport(Address("https", LOOPBACK, 1), files.tls) as wire:
        assert wire.certificates == Certificates()


def test_over_plain_http_there_are_no_certificates() -> None:
    with scripted(answer(b"{}")) as address, transport(address) as wire:
        wire.get(SELF_PATH, PATIENCE)

        assert wire.certificates == Certificates()


def test_the_ends_of_both_certificates_are_told(files: Files, ca: trustme.CA) -> None:
    put(files.ca, ca.cert_pem.bytes())
    files.present(ca.issue_cert("cli.global.nomad", not_after=OWN_ENDS))
    with TlsAgent(server_side(ca, not_after=PEER_ENDS)) as agent, transport(agent.address, files.tls) as wire:
        wire.get(SELF_PATH, PATIENCE)

        assert wire.certificates == Certificates(PEER_ENDS.timestamp(), OWN_ENDS.timestamp())


def test_without_a_client_certificate_only_the_end_of_the_agents_is_told(files: Files, ca: trustme.CA) -> None:
    put(files.ca, ca.cert_pem.bytes())
    with (
        TlsAgent(server_side(ca, not_after=PEER_ENDS)) as agent,
        transport(agent.address, Tls(ca_file=files.ca)) as wire,
    ):
        wire.get(SELF_PATH, PATIENCE)

        assert wire.certificates == Certificates(peer=PEER_ENDS.timestamp())


def test_the_end_of_a_certificate_that_nobody_verifies_is_told_all_the_same(ca: trustme.CA) -> None:
    with (
        TlsAgent(server_side(ca, not_after=PEER_ENDS)) as agent,
        transport(agent.address, Tls(skip_verify=True)) as wire,
    ):
        assert wire.get(SELF_PATH, PATIENCE) == ANSWER
        assert wire.certificates == Certificates(peer=PEER_ENDS.timestamp())


def test_the_ends_follow_the_rotation_of_both(files: Files, ca: trustme.CA) -> None:
    put(files.ca, ca.cert_pem.bytes())
    files.present(ca.issue_cert("cli.global.nomad", not_after=OWN_ENDS))
    side = server_side(ca, not_after=PEER_ENDS)
    later = Certificates(peer=OWN_ENDS.timestamp(), own=PEER_ENDS.timestamp())
    with TlsAgent(side) as agent, transport(agent.address, files.tls) as wire:
        wire.get(SELF_PATH, PATIENCE)
        ca.issue_cert(LOOPBACK, not_after=OWN_ENDS).configure_cert(side)
        files.present(ca.issue_cert("cli.global.nomad", not_after=PEER_ENDS))
        wire.get(SELF_PATH, PATIENCE)

        assert wire.certificates == later


def test_half_a_new_pair_leaves_the_end_of_the_old_one(files: Files, ca: trustme.CA) -> None:
    put(files.ca, ca.cert_pem.bytes())
    files.present(ca.issue_cert("cli.global.nomad", not_after=OWN_ENDS))
    with TlsAgent(server_side(ca)) as agent, transport(agent.address, files.tls) as wire:
        wire.get(SELF_PATH, PATIENCE)
        put(files.cert, ca.issue_cert("cli.global.nomad", not_after=PEER_ENDS).cert_chain_pems[0].bytes())
        wire.get(SELF_PATH, PATIENCE)

        assert wire.certificates.own == OWN_ENDS.timestamp()
