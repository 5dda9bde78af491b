"""TLS of a simulated cluster: certificate files with the names of ``nomad tls``, and server contexts."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nomad_sim.setup import Setup, Tls

if TYPE_CHECKING:
    from trustme import CA, Blob

Role = Literal["server", "client", "cli"]

ROLES: tuple[Role, ...] = ("server", "client", "cli")
"""The holders of certificates; ``cli`` is a client of the HTTP API."""

CLOCK_SKEW = timedelta(minutes=5)
"""The time between the start of a new certificate's validity and now, for clients with slow clocks."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The paths of a cluster's certificates and keys, PEM files in ``folder``."""

    folder: Path

    @property
    def ca_file(self) -> str:
        return str(self.folder / "nomad-agent-ca.pem")

    @property
    def ca_key_file(self) -> str:
        return str(self.folder / "nomad-agent-ca-key.pem")

    def cert_file(self, role: Role, region: str) -> str:
        return str(self.folder / f"{region}-{role}-nomad.pem")

    def key_file(self, role: Role, region: str) -> str:
        return str(self.folder / f"{region}-{role}-nomad-key.pem")

    def tls(self, role: Role, region: str, verify_https_client: bool = False) -> Tls:
        """Return the TLS settings of an agent with this role and region."""
        return Tls(self.ca_file, self.cert_file(role, region), self.key_file(role, region), verify_https_client)


def make_certificates(
    folder: Path, hosts: Sequence[str], regions: Iterable[str], now: datetime, days: int = 365
) -> CertificateFiles:
    """Create a CA in ``folder`` and issue a certificate for each role in each of ``regions``.

    ``hosts`` are the names and IP addresses of the agents. The certificates expire ``days`` after ``now``, which has a
    time zone. Raises OSError, and UnicodeError if a host is not a valid name.
    """
    from trustme import CA  # Not installed without the extra `demo`, and only --tls needs it.

    files, ca = CertificateFiles(folder), CA(organization_name="Nomad Agent CA")
    ca.cert_pem.write_to_path(files.ca_file)
    _write_key(ca.private_key_pem, files.ca_key_file)
    for region in regions:
        for role in ROLES:
            _issue(ca, files.tls(role, region), role, region, hosts, now - CLOCK_SKEW, now + timedelta(days=days))
    return files


def expire_certificate(setup: Setup, tls: Tls, now: datetime) -> Tls:
    """Issue a certificate for an agent that expired a day before ``now``; return ``tls`` with its files.

    The CA is the one that ``make_certificates`` created in the folder of ``tls.ca_file``. Raises OSError.
    """
    from trustme import CA

    files = CertificateFiles(Path(tls.ca_file).parent)
    ca = CA.from_pem(Path(files.ca_file).read_bytes(), Path(files.ca_key_file).read_bytes())
    base = files.folder / f"{setup.full_name}-expired"
    expired = replace(tls, cert_file=f"{base}.pem", key_file=f"{base}-key.pem")
    role: Role = "server" if setup.server else "client"
    end = now - timedelta(days=1)
    _issue(ca, expired, role, setup.region, [setup.host], end - timedelta(days=365), end)
    return expired


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of an agent's HTTPS server, for TLS 1.2 and later.

    With ``tls.verify_https_client`` every client must present a certificate of ``tls.ca_file``. Raises OSError if a
    file cannot be read, and ssl.SSLError if it is not PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = _AlertingSSLObject
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.verify_https_client:
        context.load_verify_locations(tls.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _AlertingSSLObject(ssl.SSLObject):
    """The server's side of a handshake, which sends its TLS alert to a client that it rejects."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            # At an error, event loops close the connection before they send the alert that OpenSSL has written.
            # This handshake continues instead: the alert is sent, and the connection ends when the client closes it
            # or the handshake times out.
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the handshake continues") from error


def _issue(
    ca: CA, tls: Tls, role: Role, region: str, hosts: Sequence[str], not_before: datetime, not_after: datetime
) -> None:
    """Issue a certificate with a new key and write both to the files of ``tls``."""
    name = f"{role}.{region}.nomad"
    addresses = () if role == "cli" else ("127.0.0.1", *hosts)
    names = dict.fromkeys((name, "localhost", *addresses))
    issued = ca.issue_cert(*names, common_name=name, not_before=not_before, not_after=not_after)
    issued.cert_chain_pems[0].write_to_path(tls.cert_file)
    _write_key(issued.private_key_pem, tls.key_file)


def _write_key(key: Blob, file: str) -> None:
    """Write a private key to a file that only the owner can read."""
    Path(file).touch(mode=0o600)
    key.write_to_path(file)
