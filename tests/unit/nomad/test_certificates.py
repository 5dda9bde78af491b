"""When a certificate expires, in PEM or DER form, and that what is none says nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nomad_exporter.nomad.certificates import Certificates, not_after

ENDS = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def leaf(ca: trustme.CA) -> trustme.LeafCert:
    """A certificate that expires at ``ENDS``, and its key."""
    return ca.issue_cert("server.global.nomad", not_after=ENDS)


@pytest.fixture(scope="module")
def pem(leaf: trustme.LeafCert) -> bytes:
    return leaf.cert_chain_pems[0].bytes()


@pytest.fixture(scope="module")
def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_nothing_is_known_of_certificates_unless_it_is_told() -> None:
    assert Certificates() == Certificates(peer=None, own=None)


def test_the_end_of_one_in_pem_form(pem: bytes) -> None:
    assert not_after(pem) == ENDS.timestamp()


def test_the_end_of_one_in_der_form(der: bytes) -> None:
    assert not_after(der) == ENDS.timestamp()


def test_of_several_in_one_file_the_first_counts_which_is_the_one_presented(pem: bytes, ca: trustme.CA) -> None:
    assert not_after(pem + ca.cert_pem.bytes()) == ENDS.timestamp()


def test_a_key_before_it_in_the_same_file_is_passed_over(leaf: trustme.LeafCert) -> None:
    assert not_after(leaf.private_key_and_cert_chain_pem.bytes()) == ENDS.timestamp()


def test_words_before_it_as_openssl_writes_them_are_passed_over(pem: bytes) -> None:
    assert not_after(b"Certificate:\n    Data:\n        Version: 3 (0x2)\n" + pem) == ENDS.timestamp()


@pytest.mark.parametrize("year", [2049, 2050, 9999])
def test_an_end_in_any_century(ca: trustme.CA, year: int) -> None:
    ends = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert (
        not_after(ca.issue_cert("server.global.nomad", not_after=ends).cert_chain_pems[0].bytes()) == ends.timestamp()
    )


def test_an_end_that_has_passed(ca: trustme.CA) -> None:
    began, ended = datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
    expired = ca.issue_cert("server.global.nomad", not_before=began, not_after=ended)

    assert not_after(expired.cert_chain_pems[0].bytes()) == ended.timestamp()


@pytest.mark.parametrize("nothing", [None, b""], ids=["none", "empty"])
def test_where_there_is_none_nothing_is_known(nothing: bytes | None) -> None:
    assert not_after(nothing) is None


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"no certificate", id="words"),
        pytest.param(b"\x30\x82\xff\xff", id="the beginning of one"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\n", id="the first line of one"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="one without content"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", id="a key"),
    ],
)
def test_of_what_is_no_certificate_nothing_is_known(broken: bytes) -> None:
    assert not_after(broken) is None


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.99])
def test_of_half_a_certificate_nothing_is_known(pem: bytes, der: bytes, share: float) -> None:
    assert not_after(pem[: int(len(pem) * share)]) is None
    assert not_after(der[: int(len(der) * share)]) is None


def test_of_a_certificate_of_a_version_that_does_not_exist_nothing_is_known(der: bytes) -> None:
    version_3, version_6 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"

    assert version_3 in der
    assert not_after(der.replace(version_3, version_6, 1)) is None
