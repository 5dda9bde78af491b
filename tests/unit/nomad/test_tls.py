"""TLS contexts: trust, client certificates, errors that name the file, and sharing by equal settings."""

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
from cryptography.hazmat.primitives.asymmetric import rsa

from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Tls
from nomad_exporter.nomad.tls import Contexts, CredentialError, context
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow  # Real handshakes.

ServerContext = Callable[..., ssl.SSLContext]

HOST = "127.0.0.1"

EXPIRY = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str = HOST) -> ssl.SSLObject:
    """Complete a handshake in memory and return the server's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    pending = [client_side, server_side]
    while pending:
        side = pending.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pending.append(side)
    return server_side


def rejection(client: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """Return why the client rejects the server's certificate."""
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(client, server)
    return caught.value.verify_message


# Trust.


def test_ca_file_is_trusted(ca_file: Path, server_context: ServerContext) -> None:
    assert shake_hands(context(Tls(ca_file=ca_file)), server_context()).version() == "TLSv1.3"


def test_another_ca_is_not_trusted(other_ca_file: Path, server_context: ServerContext) -> None:
    message = rejection(context(Tls(ca_file=other_ca_file)), server_context())

    assert message == "unable to get local issuer certificate"


def test_intermediate_ca_is_trusted_alone(tmp_path: Path) -> None:
    issuing = trustme.CA().create_child_ca()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuing.issue_cert(HOST).configure_cert(server)
    ca_file = tmp_path / "issuing.pem"
    ca_file.write_bytes(issuing.cert_pem.bytes())

    assert shake_hands(context(Tls(ca_file=ca_file)), server).version() == "TLSv1.3"


def test_system_roots_are_trusted_without_ca(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path, server_context: ServerContext
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))

    assert shake_hands(context(Tls()), server_context())


def test_system_roots_are_not_trusted_with_ca_file(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))

    assert rejection(context(Tls(ca_file=other_ca_file)), server_context())


def test_ca_directory_is_loaded_recursively(
    tmp_path: Path, ca: trustme.CA, other_ca_file: Path, server_context: ServerContext
) -> None:
    (tmp_path / "nested").mkdir()
    ca.cert_pem.write_to_path(tmp_path / "nested" / "ca.pem")
    (tmp_path / "other.pem").write_bytes(other_ca_file.read_bytes())

    assert shake_hands(context(Tls(ca_path=tmp_path)), server_context())


def test_ca_file_takes_precedence_over_directory(
    tmp_path: Path, ca: trustme.CA, other_ca_file: Path, server_context: ServerContext
) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")

    assert rejection(context(Tls(ca_file=other_ca_file, ca_path=tmp_path)), server_context())


def test_name_missing_in_certificate_is_rejected(ca_file: Path, server_context: ServerContext) -> None:
    message = rejection(context(Tls(ca_file=ca_file)), server_context("server.global.nomad"))

    assert "IP address mismatch" in message


def test_skip_verify_accepts_any_certificate(server_context: ServerContext) -> None:
    assert shake_hands(context(Tls(skip_verify=True)), server_context("anything"))


def test_minimum_version_is_tls_1_2(ca_file: Path) -> None:
    assert context(Tls(ca_file=ca_file)).minimum_version is ssl.TLSVersion.TLSv1_2


# Client certificates.


def test_client_certificate_is_sent(
    ca_file: Path, client_files: tuple[Path, Path], server_context: ServerContext
) -> None:
    cert_file, key_file = client_files
    client = context(Tls(ca_file=ca_file, cert_file=cert_file, key_file=key_file))
    server_side = shake_hands(client, server_context(requires_certificate=True))
    server_side.do_handshake()

    received = server_side.getpeercert()
    assert received
    assert ("DNS", "cli.global.nomad") in received["subjectAltName"]


# Files that cannot be used.


def test_error_names_missing_ca_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_file=tmp_path / "ca.pem"))

    assert str(caught.value) == f"{tmp_path}/ca.pem: No such file or directory"


@pytest.mark.parametrize("content", ["", "no certificate"], ids=["empty", "plain text"])
def test_error_names_ca_file_without_certificate(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_file=tmp_path / "ca.pem"))

    assert str(caught.value) == f"{tmp_path}/ca.pem: not a CA certificate in PEM format"


def test_error_names_invalid_file_in_ca_directory(tmp_path: Path, ca: trustme.CA) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "README").write_text("Our CAs")
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_path=tmp_path))

    assert str(caught.value) == f"{tmp_path}/README: not a CA certificate in PEM format"


@pytest.mark.parametrize("name", [".", "missing"], ids=["empty", "missing"])
def test_error_names_ca_directory_without_ca(tmp_path: Path, name: str) -> None:
    with pytest.raises(CredentialError) as caught:
        context(Tls(ca_path=tmp_path / name))

    assert str(caught.value) == f"{tmp_path / name}: no CA certificate in this directory"


@pytest.mark.parametrize("missing", [0, 1], ids=["certificate", "key"])
def test_error_names_missing_client_file(tmp_path: Path, client_files: tuple[Path, Path], missing: int) -> None:
    files = [*client_files]
    files[missing] = tmp_path / "missing.pem"
    with pytest.raises(CredentialError) as caught:
        context(Tls(skip_verify=True, cert_file=files[0], key_file=files[1]))

    assert str(caught.value) == f"{tmp_path}/missing.pem: No such file or directory"


def test_key_of_another_certificate_is_rejected(
    tmp_path: Path, client_files: tuple[Path, Path], ca: trustme.CA
) -> None:
    key_file = tmp_path / "key.pem"
    ca.issue_cert("cli.global.nomad").private_key_pem.write_to_path(key_file)
    with pytest.raises(CredentialError) as caught:
        context(Tls(skip_verify=True, cert_file=client_files[0], key_file=key_file))

    assert str(caught.value) == f"{client_files[0]}: does not belong to the key {key_file}"


def test_key_of_another_type_is_rejected(tmp_path: Path, client_files: tuple[Path, Path], ca: trustme.CA) -> None:
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(CredentialError, match=f"does not belong to the key {key_file}"):
        context(Tls(skip_verify=True, cert_file=client_files[0], key_file=key_file))


def test_swapped_certificate_and_key_are_rejected(client_files: tuple[Path, Path]) -> None:
    cert_file, key_file = client_files
    with pytest.raises(CredentialError, match=f"^{key_file}: not a certificate in PEM format$"):
        context(Tls(skip_verify=True, cert_file=key_file, key_file=cert_file))


def test_file_that_is_no_key_is_rejected(client_files: tuple[Path, Path]) -> None:
    cert_file, _ = client_files
    with pytest.raises(CredentialError, match=f"^{cert_file}: not a private key in PEM format$"):
        context(Tls(skip_verify=True, cert_file=cert_file, key_file=cert_file))


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_encrypted_key_is_rejected_without_prompt(
    tmp_path: Path, client_files: tuple[Path, Path], form: serialization.PrivateFormat
) -> None:
    cert_file, plain = client_files
    key = serialization.load_pem_private_key(plain.read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            form,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    with pytest.raises(CredentialError, match=r"key\.pem: key is encrypted; remove its passphrase"):
        context(Tls(skip_verify=True, cert_file=cert_file, key_file=tmp_path / "key.pem"))


# Credential files.


@pytest.mark.parametrize("content", ["b4d-t0ken", "b4d-t0ken\n", "\r\n  b4d-t0ken\t\r\n"], ids=ascii)
def test_white_space_around_credential_is_stripped(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)

    assert tls.read(tmp_path / "token") == "b4d-t0ken"


def test_error_names_binary_credential_file_without_quote(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3cret\xff")
    with pytest.raises(CredentialError) as caught:
        tls.read(tmp_path / "token")

    assert str(caught.value) == f"{tmp_path}/token: not UTF-8 text"


def test_error_names_credential_directory(tmp_path: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        tls.read(tmp_path)

    assert str(caught.value) == f"{tmp_path}: Is a directory"


# Contexts in use.


def test_equal_settings_share_one_context(ca_file: Path) -> None:
    contexts = Contexts()

    assert contexts.get(Tls(ca_file=ca_file)) is contexts.get(Tls(ca_file=Path(ca_file)))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"skip_verify": True}, id="skip_verify"),
        pytest.param({"server_name": "server.global.nomad"}, id="server_name"),
    ],
)
def test_different_settings_have_separate_contexts(ca_file: Path, other: dict[str, object]) -> None:
    contexts = Contexts()

    assert contexts.get(Tls(ca_file=ca_file)) is not contexts.get(Tls(ca_file=ca_file, **other))  # type: ignore[arg-type]  # of the fields


def test_missing_file_is_tried_again(tmp_path: Path, ca: trustme.CA, server_context: ServerContext) -> None:
    contexts = Contexts()
    settings = Tls(ca_file=tmp_path / "ca.pem")
    with pytest.raises(CredentialError):
        contexts.get(settings)

    ca.cert_pem.write_to_path(tmp_path / "ca.pem")

    assert shake_hands(contexts.get(settings).context, server_context())


def test_keep_drops_unused_contexts(ca_file: Path) -> None:
    contexts = Contexts()
    used, unused = Tls(ca_file=ca_file), Tls(skip_verify=True)
    before = [contexts.get(settings) for settings in (used, unused)]

    contexts.keep([used])

    assert contexts.get(used) is before[0]
    assert contexts.get(unused) is not before[1]


# Changed files.


def replace_file(path: Path, content: bytes) -> Path:
    """Replace ``path`` by a new file, as tools that renew certificates do."""
    path.with_suffix(".new").write_bytes(content)
    return path.with_suffix(".new").rename(path)


@pytest.fixture
def own_ca_file(tmp_path: Path, ca_file: Path) -> Path:
    """Return a CA file that a test can change."""
    return replace_file(tmp_path / "ca.pem", ca_file.read_bytes())


def test_unchanged_files_keep_the_context(own_ca_file: Path) -> None:
    contexts = Contexts()

    assert contexts.get(Tls(ca_file=own_ca_file)) is contexts.get(Tls(ca_file=own_ca_file))


def test_replaced_ca_file_revokes_the_old_ca(
    own_ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    contexts = Contexts()
    assert shake_hands(contexts.get(Tls(ca_file=own_ca_file)).context, server_context())

    replace_file(own_ca_file, other_ca_file.read_bytes())

    assert rejection(contexts.get(Tls(ca_file=own_ca_file)).context, server_context())


def test_ca_added_to_directory_is_trusted(
    tmp_path: Path, ca_file: Path, other_ca_file: Path, server_context: ServerContext
) -> None:
    contexts = Contexts()
    replace_file(tmp_path / "other.pem", other_ca_file.read_bytes())
    assert rejection(contexts.get(Tls(ca_path=tmp_path)).context, server_context())

    replace_file(tmp_path / "ca.pem", ca_file.read_bytes())

    assert shake_hands(contexts.get(Tls(ca_path=tmp_path)).context, server_context())


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: replace_file(path, b""), id="empty"),
        pytest.param(lambda path: replace_file(path, path.read_bytes()[:100]), id="truncated"),
    ],
)
def test_unusable_file_keeps_the_previous_context(own_ca_file: Path, damage: Callable[[Path], object]) -> None:
    contexts = Contexts()
    before = contexts.get(Tls(ca_file=own_ca_file))
    content = own_ca_file.read_bytes()

    damage(own_ca_file)
    assert contexts.get(Tls(ca_file=own_ca_file)) is before

    replace_file(own_ca_file, content)
    assert contexts.get(Tls(ca_file=own_ca_file)) is not before


def test_client_certificate_is_renewed_with_its_key(
    tmp_path: Path, ca: trustme.CA, client_files: tuple[Path, Path]
) -> None:
    cert_file, key_file = (replace_file(tmp_path / file.name, file.read_bytes()) for file in client_files)
    settings = Tls(skip_verify=True, cert_file=cert_file, key_file=key_file)
    contexts = Contexts()
    before = contexts.get(settings)
    renewed = ca.issue_cert("cli.global.nomad", not_after=EXPIRY)

    replace_file(cert_file, renewed.cert_chain_pems[0].bytes())
    assert contexts.get(settings) is before

    replace_file(key_file, renewed.private_key_pem.bytes())
    assert contexts.get(settings).own_not_after == EXPIRY.timestamp()


def test_expiry_is_none_without_client_certificate() -> None:
    assert Contexts().get(Tls(skip_verify=True)).own_not_after is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to a user without permission")
def test_error_names_ca_directory_without_permission(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.getbasetemp().parent.parent / "unsearchable-cas"
    directory.mkdir(exist_ok=True)
    (directory / "ca.pem").write_text("")
    directory.chmod(0o644)
    os.seteuid(65534)
    try:
        with pytest.raises(CredentialError, match="Permission denied"):
            context(Tls(ca_path=directory))
    finally:
        os.seteuid(0)
        shutil.rmtree(directory)


def test_blocked_file_does_not_block_other_contexts(tmp_path: Path) -> None:
    blocked = tmp_path / "ca.pem"
    os.mkfifo(blocked)
    contexts = Contexts()

    def load() -> None:
        with contextlib.suppress(CredentialError):
            contexts.get(Tls(ca_file=blocked))

    thread = threading.Thread(target=load)
    thread.start()
    other = contexts.get(Tls(skip_verify=True))
    contexts.keep([Tls(skip_verify=True)])
    with blocked.open("w"):
        """Opening and closing the pipe lets the reader continue."""
    thread.join(PATIENCE)

    assert other.context.verify_mode is ssl.CERT_NONE
    assert not thread.is_alive()
