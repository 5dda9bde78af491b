"""The expiry time of a certificate in PEM or DER form; None for any other content."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nomad_exporter.nomad.tls import Certificates, not_after

EXPIRY = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def leaf(ca: trustme.CA) -> trustme.LeafCert:
    """Return a certificate that expires at ``EXPIRY``, with its key."""
    return ca.issue_cert("server.global.nomad", not_after=EXPIRY)


@pytest.fixture(scope="module")
def pem(leaf: trustme.LeafCert) -> bytes:
    return leaf.cert_chain_pems[0].bytes()


@pytest.fixture(scope="module")
def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_expiry_times_default_to_none() -> None:
    assert Certificates() == Certificates(peer=None, own=None)


def test_not_after_reads_pem(pem: bytes) -> None:
    assert not_after(pem) == EXPIRY.timestamp()


def test_not_after_reads_der(der: bytes) -> None:
    assert not_after(der) == EXPIRY.timestamp()


def test_not_after_reads_first_certificate_of_a_chain(pem: bytes, ca: trustme.CA) -> None:
    assert not_after(pem + ca.cert_pem.bytes()) == EXPIRY.timestamp()


def test_not_after_ignores_key_in_same_file(leaf: trustme.LeafCert) -> None:
    assert not_after(leaf.private_key_and_cert_chain_pem.bytes()) == EXPIRY.timestamp()


def test_not_after_ignores_openssl_text_before_pem(pem: bytes) -> None:
    assert not_after(b"Certificate:\n    Data:\n        Version: 3 (0x2)\n" + pem) == EXPIRY.timestamp()


@pytest.mark.parametrize("year", [2049, 2050, 9999])
def test_not_after_reads_times_after_2049(ca: trustme.CA, year: int) -> None:
    expiry = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert (
        not_after(ca.issue_cert("server.global.nomad", not_after=expiry).cert_chain_pems[0].bytes())
        == expiry.timestamp()
    )


def test_not_after_reads_expired_certificate(ca: trustme.CA) -> None:
    start, expiry = datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
    expired = ca.issue_cert("server.global.nomad", not_before=start, not_after=expiry)

    assert not_after(expired.cert_chain_pems[0].bytes()) == expiry.timestamp()


@pytest.mark.parametrize("content", [None, b""], ids=["none", "empty"])
def test_not_after_is_none_without_certificate(content: bytes | None) -> None:
    assert not_after(content) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no certificate", id="plain text"),
        pytest.param(b"\x30\x82\xff\xff", id="first bytes of DER"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\n", id="first line of PEM"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="PEM without content"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", id="private key"),
    ],
)
def test_not_after_is_none_for_other_content(content: bytes) -> None:
    assert not_after(content) is None


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.99])
def test_not_after_is_none_for_truncated_certificate(pem: bytes, der: bytes, share: float) -> None:
    assert not_after(pem[: int(len(pem) * share)]) is None
    assert not_after(der[: int(len(der) * share)]) is None


def test_not_after_is_none_for_unknown_x509_version(der: bytes) -> None:
    version_3, version_6 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"

    assert version_3 in der
    assert not_after(der.replace(version_3, version_6, 1)) is None
