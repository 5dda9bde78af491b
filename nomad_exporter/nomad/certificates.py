"""Expiry times of certificates: the agent's, and the exporter's client certificate."""

from __future__ import annotations

from dataclasses import dataclass


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
