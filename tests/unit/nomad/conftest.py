"""A private CA with the certificates that agents and exporters have of it, and another CA that nobody trusts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

ServerContext = Callable[..., ssl.SSLContext]
"""Makes the TLS side of an agent whose certificate is valid for the names given."""


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie that no test changes."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, folder: Path) -> Path:
    return written(ca.cert_pem, folder / "ca.pem")


@pytest.fixture(scope="session")
def other_ca_file(folder: Path) -> Path:
    return written(trustme.CA().cert_pem, folder / "other-ca.pem")


@pytest.fixture(scope="session")
def client_files(ca: trustme.CA, folder: Path) -> tuple[Path, Path]:
    """A client certificate and its key."""
    made = ca.issue_cert("cli.global.nomad")
    written(made.cert_chain_pems[0], folder / "cli.pem")
    return folder / "cli.pem", written(made.private_key_pem, folder / "cli-key.pem")


@pytest.fixture(scope="session")
def other_client_file(folder: Path) -> Path:
    """A client certificate of another CA, and its key."""
    return written(trustme.CA().issue_cert("cli.global.nomad").private_key_and_cert_chain_pem, folder / "other-cli.pem")


@pytest.fixture(scope="session")
def server_context(ca: trustme.CA) -> ServerContext:
    def make(*names: str, wants_certificate: bool = False) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*(names or ("127.0.0.1",))).configure_cert(made)
        if wants_certificate:
            ca.configure_trust(made)
            made.verify_mode = ssl.CERT_REQUIRED
        return made

    return make


def written(pem: trustme.Blob, path: Path) -> Path:
    pem.write_to_path(path)
    return path
