"""TLS material: contexts made from credential files, and expiry times of certificates.

Agents with equal settings share a context: one with the system's root certificates takes 900 kB.
"""

from __future__ import annotations

import errno
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nomad_exporter import logs
from nomad_exporter.nomad.agent import Tls

_log = logs.get_logger(__name__)


EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""Error numbers that the exporter's own machine causes, never an agent and no file."""


class CredentialError(Exception):
    """A token, CA, certificate or key file that cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Expiry times, in Unix time, of the agent's certificate (``peer``) and of the exporter's (``own``).

    The agent's certificate may be one that the exporter refused. A time is None if there is no such certificate, or if
    the certificate cannot be parsed.
    """

    peer: float | None = None
    own: float | None = None


def not_after(certificate: bytes | None) -> float | None:
    """Return the expiry time of a PEM or DER certificate, in Unix time; None if it cannot be parsed."""
    from cryptography import x509  # Imported here: it takes 10 MB, which only TLS needs.

    if not certificate:
        return None
    load = x509.load_pem_x509_certificate if b"-----BEGIN" in certificate else x509.load_der_x509_certificate
    try:
        return load(certificate).not_valid_after_utc.timestamp()
    except (ValueError, x509.InvalidVersion):
        return None


def context(tls: Tls) -> ssl.SSLContext:
    """Return a client context for ``tls``, with TLS 1.2 or later. Raises CredentialError."""
    new = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    new.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_roots(new, tls)
    if tls.skip_verify:
        new.check_hostname, new.verify_mode = False, ssl.CERT_NONE
    if tls.cert_file and tls.key_file:
        _load_client_certificate(new, tls.cert_file, tls.key_file)
    return new


def _load_roots(ssl_context: ssl.SSLContext, tls: Tls) -> None:
    """Load the CA file, else every file below the CA directory, else the system's root certificates."""
    if tls.ca_file or tls.ca_path:
        # As for Nomad's own command, an intermediate CA is enough.
        ssl_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.ca_file:
        _load_ca_file(ssl_context, tls.ca_file)
    elif tls.ca_path:
        try:
            files = sorted(path for path in tls.ca_path.rglob("*") if path.is_file())  # Recursively, as Nomad does.
        except OSError as error:
            raise CredentialError(f"{tls.ca_path}: {error.strerror}") from None
        if not files:
            raise CredentialError(f"{tls.ca_path}: no CA certificate in this directory")
        for path in files:
            _load_ca_file(ssl_context, path)
    else:
        ssl_context.load_default_certs()


def _load_ca_file(ssl_context: ssl.SSLContext, path: Path) -> None:
    try:
        ssl_context.load_verify_locations(path)
    except ssl.SSLError:
        raise CredentialError(f"{path}: not a CA certificate in PEM format") from None
    except OSError as error:
        raise _unusable(path, error) from None


def _load_client_certificate(ssl_context: ssl.SSLContext, cert_file: Path, key_file: Path) -> None:
    check_certificate(cert_file)
    check_key(key_file)
    try:
        ssl_context.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except ssl.SSLError as error:
        problem = "does not belong to" if error.reason in _MISMATCHES else "cannot be loaded with"
        raise CredentialError(f"{cert_file}: {problem} the key {key_file}") from None
    except OSError as error:
        raise _unusable(cert_file, error) from None


_MISMATCHES = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
"""OpenSSL's reason codes for a certificate and a key that are no pair; the last one if their types differ."""


def check_certificate(path: Path) -> None:
    """Raise CredentialError unless the file holds a certificate in PEM format."""
    if "CERTIFICATE-----" not in read(path):
        raise CredentialError(f"{path}: not a certificate in PEM format")


def check_key(path: Path) -> None:
    """Raise CredentialError unless the file holds a private key in PEM format that needs no passphrase."""
    text = read(path)
    if "PRIVATE KEY-----" not in text:
        raise CredentialError(f"{path}: not a private key in PEM format")
    if "BEGIN ENCRYPTED" in text or "4,ENCRYPTED" in text:
        raise CredentialError(f"{path}: key is encrypted; remove its passphrase (openssl pkey -in FILE -out NEW_FILE)")


def _unusable(path: Path, error: OSError) -> Exception:
    """Return the error for a file that cannot be read; the exporter's own lack of resources remains what it is."""
    return error if error.errno in EXHAUSTED else CredentialError(f"{path}: {error.strerror}")


def _no_passphrase() -> str:
    # Without a passphrase, OpenSSL would prompt for that of an encrypted key on the terminal.
    return ""


def read(path: Path) -> str:
    """Return the text of a credential file without leading and trailing white space. Raises CredentialError."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise _unusable(path, error) from None
    except UnicodeDecodeError:
        raise CredentialError(f"{path}: not UTF-8 text") from None


def read_token(path: Path) -> str:
    """Return the token in a file. Raises CredentialError, also for an empty file and a text that no header can have."""
    token = read(path)
    if not token:
        raise CredentialError(f"{path}: file is empty")
    if not (token.isascii() and token.isprintable()):
        raise CredentialError(f"{path}: must be one line of printable ASCII")
    return token


@dataclass(frozen=True, slots=True)
class Trust:
    """The context for the TLS settings of an agent, and the expiry time of the exporter's certificate in it."""

    context: ssl.SSLContext
    own_not_after: float | None


class Contexts:
    """The contexts in use, by TLS settings; agents with equal settings share a context.

    A changed file leads to a new context. If a changed file is missing, incomplete or invalid, the previous context
    stays in use.
    """

    # A context is replaced, not extended, because a CA cannot be removed from a context that is in use. Each context
    # has its own lock: a file on a dead mount blocks only the agents that need that file.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Tls, _ReloadingTrust] = {}

    def get(self, tls: Tls) -> Trust:
        """Return the context for ``tls``, reloaded if a file has changed.

        Raises CredentialError if the files cannot be used and no previous context exists.
        """
        with self._lock:
            if tls not in self._entries:
                self._entries[tls] = _ReloadingTrust(tls)
            entry = self._entries[tls]
        return entry.get()

    def keep(self, only: Iterable[Tls]) -> None:
        """Drop the contexts of all settings except ``only`` these."""
        used = set(only)
        with self._lock:
            self._entries = {tls: entry for tls, entry in self._entries.items() if tls in used}


class _ReloadingTrust:
    """The context for one set of files, reloaded when a file changes."""

    def __init__(self, tls: Tls) -> None:
        self._lock = threading.Lock()
        self._tls = tls
        self._fingerprint: Fingerprint | None = None
        self._trust: Trust | None = None

    def get(self) -> Trust:
        with self._lock:
            fingerprint = _fingerprint(self._tls)
            if self._trust is None or self._fingerprint != fingerprint:
                self._trust = _load_trust(self._tls, self._trust)
                self._fingerprint = fingerprint
            return self._trust


Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and modification time of each file; a changed file differs in one of them."""


def _load_trust(tls: Tls, previous: Trust | None) -> Trust:
    try:
        return Trust(context(tls), not_after(tls.cert_file.read_bytes() if tls.cert_file else None))
    except (CredentialError, OSError) as error:
        if previous is None:
            raise
        _log.warning("failed to reload TLS files, keeping the previous ones", error=error)
        return previous


def _fingerprint(tls: Tls) -> Fingerprint:
    files = [path for path in (tls.ca_file, tls.cert_file, tls.key_file) if path]
    if tls.ca_path and not tls.ca_file:
        files += sorted(tls.ca_path.rglob("*"))
    return tuple(_file_fingerprint(path) for path in files)


def _file_fingerprint(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns
