"""The certificates of a simulated cluster: a CA of its own and what it issues, as ``nomad tls`` makes them."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nomad_sim.setup import Tls
from nomad_sim.tls import tls_context

Role = Literal["server", "client", "cli"]

ROLES: tuple[Role, ...] = ("server", "client", "cli")
"""Who has a certificate; ``cli`` is whoever asks the agents."""

CA_DAYS = 1825
"""How long the CA is valid: five years."""

CLOCK_SKEW = timedelta(minutes=5)
"""How long a new certificate has been valid already, for the sake of clocks that are behind."""


_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The paths of all that is made in a folder; certificates and keys are PEM files."""

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
        """How an agent of this role and region is set up."""
        return Tls(self.ca_file, self.cert_file(role, region), self.key_file(role, region), verify_https_client)


def make_certificates(
    folder: Path, hosts: Sequence[str], regions: Iterable[str], now: datetime, days: int = 365
) -> CertificateFiles:
    """Makes a CA in ``folder``, and issues a certificate for each role in each of the ``regions``.

    ``hosts`` are the names and IP addresses of the agents, ``now`` has a time zone, ``days`` is how long the
    certificates are valid. Raises OSError.
    """
    files = CertificateFiles(folder)
    _make_ca(files, now)
    for region in regions:
        for role in ROLES:
            issue_certificate(files, role, region, hosts, now, days)
    return files


def issue_certificate(
    files: CertificateFiles, role: Role, region: str, hosts: Sequence[str], now: datetime, days: int = 365
) -> None:
    """Issues one certificate with a new key, in the place of the one before.

    It has expired already where ``now`` lies more than ``days`` back. Raises OSError.
    """
    ca, ca_key = _read_ca(files)
    name = f"{role}.{region}.nomad"
    addresses = () if role == "cli" else ("127.0.0.1", *hosts)
    names = [_general_name(host) for host in dict.fromkeys((name, "localhost", *addresses))]
    key = generate_private_key(SECP256R1())
    certificate = (
        _certificate_builder(_common_name(name), key, now, days, "digital_signature", "key_encipherment")
        .issuer_name(ca.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, SHA256())
    )
    _write(files.cert_file(role, region), certificate, files.key_file(role, region), key)


def expire_certificate(tls: Tls, name: str, now: datetime) -> Tls:
    """What the agent ``name`` is set up with whose certificate expired a day before ``now``.

    All else about the certificate is as it was; it is a file of its own beside the one before, with the same key. The
    CA is that of the folder in which ``make_certificates`` made both. Raises OSError.
    """
    _, ca_key = _read_ca(CertificateFiles(Path(tls.ca_file).parent))
    previous = x509.load_pem_x509_certificate(Path(tls.cert_file).read_bytes())
    end = now - timedelta(days=1)
    certificate = x509.CertificateBuilder(
        previous.issuer,
        previous.subject,
        previous.public_key(),
        x509.random_serial_number(),
        end - (previous.not_valid_after_utc - previous.not_valid_before_utc),
        end,
        list(previous.extensions),
    ).sign(ca_key, SHA256())
    file = Path(tls.cert_file).with_name(f"{name}-expired.pem")
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return replace(tls, cert_file=str(file))


def server_context(tls: Tls) -> ssl.SSLContext:
    """The server's side of an agent's TLS. Raises OSError where a file cannot be read."""
    return tls_context(tls.cert_file, tls.key_file, tls.ca_file if tls.verify_https_client else None)


def _make_ca(files: CertificateFiles, now: datetime) -> None:
    """Its name has a number, so that no other CA is taken for it."""
    name = _common_name(f"Nomad Agent CA {x509.random_serial_number()}")
    key = generate_private_key(SECP256R1())
    certificate = (
        _certificate_builder(name, key, now, CA_DAYS, "digital_signature", "key_cert_sign", "crl_sign")
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    _write(files.ca_file, certificate, files.ca_key_file, key)


def _read_ca(files: CertificateFiles) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    certificate = x509.load_pem_x509_certificate(Path(files.ca_file).read_bytes())
    return certificate, cast(EllipticCurvePrivateKey, load_pem_private_key(Path(files.ca_key_file).read_bytes(), None))


def _certificate_builder(
    name: x509.Name, key: EllipticCurvePrivateKey, now: datetime, days: int, *usages: str
) -> x509.CertificateBuilder:
    """What every certificate has."""
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.KeyUsage(**{usage: usage in usages for usage in _USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(cert_file: str, certificate: x509.Certificate, key_file: str, key: EllipticCurvePrivateKey) -> None:
    """Only its owner may read the key."""
    Path(cert_file).write_bytes(certificate.public_bytes(Encoding.PEM))
    Path(key_file).touch(mode=0o600)
    Path(key_file).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
