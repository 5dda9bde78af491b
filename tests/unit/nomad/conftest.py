"""A private CA with certificates for agents and clients, and another CA that nobody trusts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

ServerContext = Callable[..., ssl.SSLContext]
"""Returns a server context with a certificate that is valid for the given names."""


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for files that no test changes."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, directory: Path) -> Path:
    return write_pem(ca.cert_pem, directory / "ca.pem")


@pytest.fixture(scope="session")
def other_ca_file(directory: Path) -> Path:
    return write_pem(trustme.CA().cert_pem, directory / "other-ca.pem")


@pytest.fixture(scope="session")
def client_files(ca: trustme.CA, directory: Path) -> tuple[Path, Path]:
    """Return the files of a client certificate and its key."""
    issued = ca.issue_cert("cli.global.nomad")
    write_pem(issued.cert_chain_pems[0], directory / "cli.pem")
    return directory / "cli.pem", write_pem(issued.private_key_pem, directory / "cli-key.pem")


@pytest.fixture(scope="session")
def other_client_file(directory: Path) -> Path:
    """Return one file with a client certificate from another CA and its key."""
    return write_pem(
        trustme.CA().issue_cert("cli.global.nomad").private_key_and_cert_chain_pem, directory / "other-cli.pem"
    )


@pytest.fixture(scope="session")
def server_context(ca: trustme.CA) -> ServerContext:
    def make(*names: str, requires_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
        if requires_certificate:
            ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    return make


def write_pem(pem: trustme.Blob, path: Path) -> Path:
    pem.write_to_path(path)
    return path
