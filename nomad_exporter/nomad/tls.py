"""TLS contexts, made once for all agents of the same settings: with a system's roots, one costs some 900 kB."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nomad_exporter.nomad.agent import Tls
from nomad_exporter.nomad.certificates import not_after
from nomad_exporter.nomad.connections import BoundedTlsSocket

_log = logging.getLogger(__name__)


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
        try:
            files = sorted(path for path in tls.ca_path.rglob("*") if path.is_file())
        except OSError as error:
            raise CredentialError(f"{tls.ca_path}: {error.strerror}") from None
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


@dataclass(frozen=True, slots=True)
class Trust:
    """What the TLS settings of an agent came to: the context, and when our own certificate in it expires."""

    context: ssl.SSLContext
    own_not_after: float | None


class Contexts:
    """The contexts in use, by value: agents with equal settings share one.

    When a file changes, a new context takes the place of the old one, for adding to a living one never forgets a
    revoked CA. A file that is half written or gone for a moment changes nothing, and one that cannot be read for a
    while, as on a dead mount, keeps only those waiting who need it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Tls, _Renewing] = {}

    def get(self, tls: Tls) -> Trust:
        """What ``tls`` comes to, as its files are now. Raises CredentialError where they never were of any use."""
        with self._lock:
            if tls not in self._made:
                self._made[tls] = _Renewing(tls)
            renewing = self._made[tls]
        return renewing.get()

    def keep(self, only: Iterable[Tls]) -> None:
        """Forgets the contexts of all settings but ``only`` these."""
        used = set(only)
        with self._lock:
            self._made = {tls: made for tls, made in self._made.items() if tls in used}


class _Renewing:
    """The context of one set of files, made anew when they change."""

    def __init__(self, tls: Tls) -> None:
        self._lock = threading.Lock()
        self._tls = tls
        self._identity: Identity | None = None
        self._trust: Trust | None = None

    def get(self) -> Trust:
        with self._lock:
            identity = _identity(self._tls)
            if self._trust is None or self._identity != identity:
                self._trust = _renewed(self._tls, self._trust)
                self._identity = identity
            return self._trust


Identity = tuple[tuple[str, int, int, int], ...]
"""What tells a changed file: its path, inode, size and time of change."""


def _renewed(tls: Tls, kept: Trust | None) -> Trust:
    try:
        return Trust(context(tls), not_after(tls.cert_file.read_bytes() if tls.cert_file else None))
    except (CredentialError, OSError) as error:
        if kept is None:
            raise
        _log.warning("changed files are of no use, the last good ones stay", extra={"fields": {"error": str(error)}})
        return kept


def _identity(tls: Tls) -> Identity:
    files = [path for path in (tls.ca_file, tls.cert_file, tls.key_file) if path]
    if tls.ca_path and not tls.ca_file:
        files += sorted(tls.ca_path.rglob("*"))
    return tuple(_identity_of(path) for path in files)


def _identity_of(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns
