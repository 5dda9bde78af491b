"""When certificates expire: the one that an agent serves, and our own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificates:
    """The ends of life, in Unix time: of the certificate that the agent served last (``peer``), and of ours (``own``).

    None where there is none, or where it cannot be read.
    """

    peer: float | None = None
    own: float | None = None


def not_after(certificate: bytes | None) -> float | None:
    """The end of life of a certificate in PEM or DER form, in Unix time; None where it cannot be read."""
    from cryptography import x509  # Ten megabytes, which only those pay whose agents speak TLS.

    if not certificate:
        return None
    load = x509.load_pem_x509_certificate if b"-----BEGIN" in certificate else x509.load_der_x509_certificate
    try:
        return load(certificate).not_valid_after_utc.timestamp()
    except (ValueError, x509.InvalidVersion):
        return None
