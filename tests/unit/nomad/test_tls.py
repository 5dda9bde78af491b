"""TLS contexts: whom they trust, what they present, which file is at fault, and that equal settings share one."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Tls
from nomad_exporter.nomad.tls import Contexts, CredentialError, context
from tests.support.waiting import PATIENCE

ServerContext = Callable[..., ssl.SSLContext]

HOST = "127.0.0.1"

END = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str = HOST) -> ssl.SSLObject:
    """A whole handshake in memory; gives the server's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return theirs


def refused(client: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """Why the client refuses the server's certificate."""
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(client, server)
    return caught.value.verify_message


# Trust.


def test_an_agent_of_the_ca_in_the_file_is_trusted(ca_file: Path, server_context: ServerContext) -> None:
    assert shake_hands(context(Tls(ca_file=ca_file)), server_context()).version() == "TLSv1.3"


def test_an_agent_of_another_ca_is_not_trusted(other_ca_file: Path, server_context: ServerContext) -> None:
    why = refused(context(Tls(ca_file=other_ca_file)), server_context())

    assert why == "unable to get local issuer certificate"


def test_without_a_ca_the_roots_of_the_system_are_trusted(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path, server_context: ServerContext
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))

    assert shake_hands(context(Tls()), server_context())


def test_with_a_ca_of_ones_own_the_roots_of_the_system_are_not_trusted(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))

    assert refused(context(Tls(ca_file=other_ca_file)), server_context())


def test_every_ca_in_the_folder_is_trusted_also_in_folders_below(
    tmp_path: Path, ca: trustme.CA, other_ca_file: Path, server_context: ServerContext
) -> None:
    (tmp_path / "below").mkdir()
    ca.cert_pem.write_to_path(tmp_path / "below" / "ca.pem")
    (tmp_path / "other.pem").write_bytes(other_ca_file.read_bytes())

    assert shake_hands(context(Tls(ca_path=tmp_path)), server_context())


def test_the_ca_file_wins_over_the_folder(
    tmp_path: Path, ca: trustme.CA, other_ca_file: Path, server_context: ServerContext
) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")

    assert refused(context(Tls(ca_file=other_ca_file, ca_path=tmp_path)), server_context())


def test_a_name_that_is_not_in_the_certificate_is_refused(ca_file: Path, server_context: ServerContext) -> None:
    why = refused(context(Tls(ca_file=ca_file)), server_context("server.global.nomad"))

    assert "IP address mismatch" in why


def test_where_nothing_is_verified_any_certificate_is_accepted(server_context: ServerContext) -> None:
    assert shake_hands(context(Tls(skip_verify=True)), server_context("anything"))


def test_nothing_older_than_tls_1_2_is_spoken(ca_file: Path) -> None:
    assert context(Tls(ca_file=ca_file)).minimum_version is ssl.TLSVersion.TLSv1_2


# What we present.


def test_the_client_certificate_is_presented(
    ca_file: Path, client_files: tuple[Path, Path], server_context: ServerContext
) -> None:
    cert_file, key_file = client_files
    ours = context(Tls(ca_file=ca_file, cert_file=cert_file, key_file=key_file))
    theirs = shake_hands(ours, server_context(wants_certificate=True))
    theirs.do_handshake()

    told = theirs.getpeercert()
    assert told
    assert ("DNS", "cli.global.nomad") in told["subjectAltName"]


# Files that cannot be used.


def test_a_ca_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_file=tmp_path / "ca.pem"))

    assert str(caught.value) == f"{tmp_path}/ca.pem: No such file or directory"


@pytest.mark.parametrize("content", ["", "no certificate"], ids=["empty", "words"])
def test_a_ca_file_without_a_certificate_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_file=tmp_path / "ca.pem"))

    assert str(caught.value) == f"{tmp_path}/ca.pem: not a CA certificate in PEM form"


def test_a_file_in_the_folder_of_cas_that_is_none_is_named(tmp_path: Path, ca: trustme.CA) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "README").write_text("Our CAs")
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_path=tmp_path))

    assert str(caught.value) == f"{tmp_path}/README: not a CA certificate in PEM form"


@pytest.mark.parametrize("name", [".", "missing"], ids=["empty", "missing"])
def test_a_folder_without_a_ca_trusts_nobody_and_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_path=tmp_path / name))

    assert str(caught.value) == f"{tmp_path / name}: no CA certificate in this folder"


@pytest.mark.parametrize("missing", [0, 1], ids=["certificate", "key"])
def test_a_client_file_that_is_missing_is_named(tmp_path: Path, client_files: tuple[Path, Path], missing: int) -> None:
    files = [*client_files]
    files[missing] = tmp_path / "missing.pem"
    with pytest.raises(CredentialError) as caught:
        context(Tls(skip_verify=True, cert_file=files[0], key_file=files[1]))

    assert str(caught.value) == f"{tmp_path}/missing.pem: No such file or directory"


def test_a_key_of_another_certificate_is_refused(
    tmp_path: Path, client_files: tuple[Path, Path], ca: trustme.CA
) -> None:
    key_file = tmp_path / "key.pem"
    ca.issue_cert("cli.global.nomad").private_key_pem.write_to_path(key_file)
    with pytest.raises(CredentialError, match="not a certificate in PEM form and its key") as caught:
        context(Tls(skip_verify=True, cert_file=client_files[0], key_file=key_file))

    assert f"{client_files[0]} and {key_file}" in str(caught.value)


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for_on_the_terminal(
    tmp_path: Path, client_files: tuple[Path, Path]
) -> None:
    cert_file, plain = client_files
    key = serialization.load_pem_private_key(plain.read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    with pytest.raises(CredentialError, match="not a certificate in PEM form and its key"):
        context(Tls(skip_verify=True, cert_file=cert_file, key_file=tmp_path / "key.pem"))


# Credential files.


@pytest.mark.parametrize("content", ["b4d-t0ken", "b4d-t0ken\n", "\r\n  b4d-t0ken\t\r\n"], ids=ascii)
def test_the_white_space_around_a_credential_is_no_part_of_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)

    assert tls.read(tmp_path / "token") == "b4d-t0ken"


def test_a_credential_file_that_is_no_text_is_named_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3cret\xff")
    with pytest.raises(CredentialError) as caught:
        tls.read(tmp_path / "token")

    assert str(caught.value) == f"{tmp_path}/token: not a text"


def test_a_credential_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        tls.read(tmp_path)

    assert str(caught.value) == f"{tmp_path}: Is a directory"


# Contexts in use.


def test_agents_with_equal_settings_share_one_context(ca_file: Path) -> None:
    contexts = Contexts()

    assert contexts.get(Tls(ca_file=ca_file)) is contexts.get(Tls(ca_file=Path(ca_file)))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"skip_verify": True}, id="one verifies nothing"),
        pytest.param({"server_name": "server.global.nomad"}, id="one expects another name"),
    ],
)
def test_agents_with_other_settings_have_a_context_of_their_own(ca_file: Path, other: dict[str, object]) -> None:
    contexts = Contexts()

    assert contexts.get(Tls(ca_file=ca_file)) is not contexts.get(Tls(ca_file=ca_file, **other))  # type: ignore[arg-type]  # of the fields


def test_a_file_that_was_missing_is_tried_again(tmp_path: Path, ca: trustme.CA, server_context: ServerContext) -> None:
    contexts = Contexts()
    settings = Tls(ca_file=tmp_path / "ca.pem")
    with pytest.raises(CredentialError):
        contexts.get(settings)

    ca.cert_pem.write_to_path(tmp_path / "ca.pem")

    assert shake_hands(contexts.get(settings).context, server_context())


def test_the_context_of_settings_that_nobody_has_any_more_is_forgotten(ca_file: Path) -> None:
    contexts = Contexts()
    used, unused = Tls(ca_file=ca_file), Tls(skip_verify=True)
    before = [contexts.get(settings) for settings in (used, unused)]

    contexts.keep([used])

    assert contexts.get(used) is before[0]
    assert contexts.get(unused) is not before[1]


# Files that change while their context is in use.


def replaced(path: Path, content: bytes) -> Path:
    """Puts a new file in the place of ``path``, as those do who renew certificates."""
    path.with_suffix(".new").write_bytes(content)
    return path.with_suffix(".new").rename(path)


@pytest.fixture
def own_ca_file(tmp_path: Path, ca_file: Path) -> Path:
    """A CA file that a test may change."""
    return replaced(tmp_path / "ca.pem", ca_file.read_bytes())


def test_while_no_file_changes_the_context_stays(own_ca_file: Path) -> None:
    contexts = Contexts()

    assert contexts.get(Tls(ca_file=own_ca_file)) is contexts.get(Tls(ca_file=own_ca_file))


def test_a_new_ca_is_trusted_and_the_old_one_no_more(
    own_ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    contexts = Contexts()
    assert shake_hands(contexts.get(Tls(ca_file=own_ca_file)).context, server_context())

    replaced(own_ca_file, other_ca_file.read_bytes())

    assert refused(contexts.get(Tls(ca_file=own_ca_file)).context, server_context())


def test_a_ca_that_is_put_into_the_folder_is_trusted(
    tmp_path: Path, ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    contexts = Contexts()
    replaced(tmp_path / "other.pem", other_ca_file.read_bytes())
    assert refused(contexts.get(Tls(ca_path=tmp_path)).context, server_context())

    replaced(tmp_path / "ca.pem", ca_file.read_bytes())

    assert shake_hands(contexts.get(Tls(ca_path=tmp_path)).context, server_context())


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="gone for a moment"),
        pytest.param(lambda path: replaced(path, b""), id="empty"),
        pytest.param(lambda path: replaced(path, path.read_bytes()[:100]), id="half written"),
    ],
)
def test_a_file_that_is_spoilt_for_a_moment_changes_nothing(own_ca_file: Path, spoil: Callable[[Path], object]) -> None:
    contexts = Contexts()
    before = contexts.get(Tls(ca_file=own_ca_file))
    whole = own_ca_file.read_bytes()

    spoil(own_ca_file)
    assert contexts.get(Tls(ca_file=own_ca_file)) is before

    replaced(own_ca_file, whole)
    assert contexts.get(Tls(ca_file=own_ca_file)) is not before


def test_a_client_certificate_is_renewed_once_its_key_is_there_too(
    tmp_path: Path, ca: trustme.CA, client_files: tuple[Path, Path]
) -> None:
    cert_file, key_file = (replaced(tmp_path / file.name, file.read_bytes()) for file in client_files)
    settings = Tls(skip_verify=True, cert_file=cert_file, key_file=key_file)
    contexts = Contexts()
    before = contexts.get(settings)
    renewed = ca.issue_cert("cli.global.nomad", not_after=END)

    replaced(cert_file, renewed.cert_chain_pems[0].bytes())
    assert contexts.get(settings) is before

    replaced(key_file, renewed.private_key_pem.bytes())
    assert contexts.get(settings).own_not_after == END.timestamp()


def test_without_a_client_certificate_there_is_none_to_expire() -> None:
    assert Contexts().get(Tls(skip_verify=True)).own_not_after is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not search the folder")
def test_a_folder_of_cas_that_may_not_be_searched_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp().parent.parent / "unsearchable-cas"
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_text("")
    folder.chmod(0o644)
    os.seteuid(65534)
    try:
        with pytest.raises(CredentialError, match="Permission denied"):
            context(Tls(ca_path=folder))
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def test_a_file_that_cannot_be_read_for_a_while_keeps_only_those_waiting_who_need_it(tmp_path: Path) -> None:
    dead = tmp_path / "ca.pem"
    os.mkfifo(dead)
    contexts = Contexts()

    def wait() -> None:
        with contextlib.suppress(CredentialError):
            contexts.get(Tls(ca_file=dead))

    waiting = threading.Thread(target=wait)
    waiting.start()
    others = contexts.get(Tls(skip_verify=True))
    contexts.keep([Tls(skip_verify=True)])
    with dead.open("w"):
        """Whoever reads the file gets its end."""
    waiting.join(PATIENCE)

    assert others.context.verify_mode is ssl.CERT_NONE
    assert not waiting.is_alive()
