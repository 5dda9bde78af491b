"""TLS contexts, made once for all agents of the same settings: with a system's roots, one costs some 900 kB."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

from nomad_exporter.nomad.agent import Tls
from nomad_exporter.nomad.sockets import BoundedTlsSocket


class CredentialError(Exception):
    """A token, CA, certificate or key file cannot be used; the text names the file and says why."""


def context(tls: Tls) -> ssl.SSLContext:
    """A client's context for ``tls``: TLS 1.2 or later. Raises CredentialError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.sslsocket_class = BoundedTlsSocket
    _trust(made, tls)
    if tls.skip_verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if tls.cert_file and tls.key_file:
        _present(made, tls.cert_file, tls.key_file)
    return made


def _trust(made: ssl.SSLContext, tls: Tls) -> None:
    """Trusts the CA file; else every file below the CA folder, as Nomad's own client does; else the system's roots."""
    if tls.ca_file:
        _trust_file(made, tls.ca_file)
    elif tls.ca_path:
        files = sorted(path for path in tls.ca_path.rglob("*") if path.is_file())
        if not files:
            raise CredentialError(f"{tls.ca_path}: no CA certificate in this folder")
        for path in files:
            _trust_file(made, path)
    else:
        made.load_default_certs()


def _trust_file(made: ssl.SSLContext, path: Path) -> None:
    try:
        made.load_verify_locations(path)
    except ssl.SSLError:
        raise CredentialError(f"{path}: not a CA certificate in PEM form") from None
    except OSError as error:
        raise CredentialError(f"{path}: {error.strerror}") from None


def _present(made: ssl.SSLContext, cert_file: Path, key_file: Path) -> None:
    for path in (cert_file, key_file):
        read(path)
    try:
        made.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except (ssl.SSLError, OSError):
        raise CredentialError(f"{cert_file} and {key_file}: not a certificate in PEM form and its key") from None


def _no_passphrase() -> str:
    """Without it, OpenSSL would ask for the passphrase of an encrypted key on the terminal."""
    return ""


def read(path: Path) -> str:
    """The text of a credential file, without the white space around it. Raises CredentialError."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise CredentialError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialError(f"{path}: not a text") from None


class Contexts:
    """The contexts in use, by value: agents with equal settings share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Tls, ssl.SSLContext] = {}

    def get(self, tls: Tls) -> ssl.SSLContext:
        """The context for ``tls``, made at the first use. Raises CredentialError; the next use tries again."""
        with self._lock:
            if tls not in self._made:
                self._made[tls] = context(tls)
            return self._made[tls]
