"""The certificates of a simulated cluster: what is written, what it says, and who is let in by it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nomad_sim.asgi import Message, Receive, Send
from nomad_sim.certificates import (
    CA_DAYS,
    CLOCK_SKEW,
    ROLES,
    CertificateFiles,
    Role,
    expire_certificate,
    issue_certificate,
    make_certificates,
    server_context,
)
from nomad_sim.setup import Tls
from tests.support.event_loop import EventLoop, running_loop
from tests.support.waiting import PATIENCE

HOSTS = ("127.0.0.1", "::1", "10.1.2.3", "nomad.example.org")
REGIONS = ("global", "west")
NOW = datetime.now(UTC).replace(microsecond=0)

EVERY = [(role, region) for region in REGIONS for role in ROLES]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_certificates(tmp_path_factory.mktemp("tls"), HOSTS, REGIONS, NOW, days=30)


@pytest.fixture
def others(tmp_path: Path) -> CertificateFiles:
    """The files of another cluster, which a test may change."""
    return make_certificates(tmp_path, HOSTS, ["global"], NOW)


def certificate(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


def names(path: str) -> x509.SubjectAlternativeName:
    return certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def common_name(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_the_files_are_named_as_nomad_names_them(files: CertificateFiles) -> None:
    pairs = {f"{region}-{role}-nomad{key}.pem" for role, region in EVERY for key in ("", "-key")}

    assert {path.name for path in files.folder.iterdir()} == {"nomad-agent-ca.pem", "nomad-agent-ca-key.pem"} | pairs


def test_keys_are_for_their_owner_alone(files: CertificateFiles) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.folder.glob("*-key.pem")}

    assert set(modes.values()) == {0o600}
    assert len(modes) == 7


@pytest.mark.parametrize(("role", "region"), EVERY)
def test_a_certificate_is_issued_by_the_ca(role: Role, region: str, files: CertificateFiles) -> None:
    certificate(files.cert_file(role, region)).verify_directly_issued_by(certificate(files.ca_file))


@pytest.mark.parametrize(("role", "region"), EVERY)
def test_a_certificate_names_role_and_region(role: Role, region: str, files: CertificateFiles) -> None:
    path = files.cert_file(role, region)

    assert common_name(certificate(path).subject) == f"{role}.{region}.nomad"
    assert names(path).get_values_for_type(x509.DNSName)[:2] == [f"{role}.{region}.nomad", "localhost"]


@pytest.mark.parametrize("role", ["server", "client"])
def test_an_agent_is_known_by_its_own_names_too(role: Role, files: CertificateFiles) -> None:
    known = names(files.cert_file(role, "west"))

    assert known.get_values_for_type(x509.DNSName)[2:] == ["nomad.example.org"]
    assert known.get_values_for_type(x509.IPAddress) == [ip_address(host) for host in HOSTS[:3]]


def test_who_asks_has_no_address(files: CertificateFiles) -> None:
    assert names(files.cert_file("cli", "west")).get_values_for_type(x509.IPAddress) == []


@pytest.mark.parametrize(("role", "region"), EVERY)
def test_a_certificate_serves_both_sides_and_issues_nothing(role: Role, region: str, files: CertificateFiles) -> None:
    extensions = certificate(files.cert_file(role, region)).extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


@pytest.mark.parametrize(("role", "region"), EVERY)
def test_a_key_is_one_of_p_256(role: Role, region: str, files: CertificateFiles) -> None:
    key = certificate(files.cert_file(role, region)).public_key()

    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)


def test_a_certificate_is_valid_from_a_little_before_now(files: CertificateFiles) -> None:
    made, ca = certificate(files.cert_file("server", "global")), certificate(files.ca_file)

    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (NOW - CLOCK_SKEW, NOW + timedelta(days=30))
    assert (ca.not_valid_before_utc, ca.not_valid_after_utc) == (NOW - CLOCK_SKEW, NOW + timedelta(days=CA_DAYS))


def test_no_ca_is_taken_for_another(files: CertificateFiles, others: CertificateFiles) -> None:
    assert certificate(files.ca_file).subject != certificate(others.ca_file).subject


async def agent(_: Message, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})


@pytest.fixture(scope="module")
def event_loop() -> Iterator[EventLoop]:
    with running_loop() as event_loop:
        yield event_loop


def url(event_loop: EventLoop, tls: Tls, host: str = "127.0.0.1") -> str:
    """Where an agent with ``tls`` serves."""
    return f"https://{host}:{event_loop.start_listener(agent, tls=server_context(tls)).address.port}"


def pair(files: CertificateFiles, role: Role, region: str = "global") -> tuple[str, str]:
    return files.cert_file(role, region), files.key_file(role, region)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("role", ["server", "client"])
def test_whoever_trusts_the_ca_trusts_the_agent(
    host: str, role: Role, event_loop: EventLoop, files: CertificateFiles
) -> None:
    at = url(event_loop, files.tls(role, "global"), host)

    assert requests.get(at, verify=files.ca_file, timeout=PATIENCE).text == "answered"


def test_an_agent_at_an_address_that_its_certificate_does_not_name_is_not_trusted(
    event_loop: EventLoop, files: CertificateFiles
) -> None:
    at = url(event_loop, files.tls("cli", "global"))

    with pytest.raises(requests.exceptions.SSLError, match="IP address mismatch"):
        requests.get(at, verify=files.ca_file, timeout=PATIENCE)


def test_an_agent_of_another_cluster_is_not_trusted(
    event_loop: EventLoop, files: CertificateFiles, others: CertificateFiles
) -> None:
    at = url(event_loop, others.tls("server", "global"))

    with pytest.raises(requests.exceptions.SSLError, match="unable to get local issuer certificate"):
        requests.get(at, verify=files.ca_file, timeout=PATIENCE)


def test_an_agent_that_wants_none_takes_a_client_without_a_certificate(
    event_loop: EventLoop, files: CertificateFiles
) -> None:
    assert requests.get(url(event_loop, files.tls("server", "west")), verify=files.ca_file, timeout=PATIENCE).ok


@pytest.mark.parametrize("role", ROLES)
def test_an_agent_that_wants_one_takes_any_certificate_of_its_ca(
    role: Role, event_loop: EventLoop, files: CertificateFiles
) -> None:
    at = url(event_loop, files.tls("server", "global", verify_https_client=True))

    assert requests.get(at, verify=files.ca_file, cert=pair(files, role, "west"), timeout=PATIENCE).ok


def test_an_agent_that_wants_one_refuses_a_client_without(event_loop: EventLoop, files: CertificateFiles) -> None:
    at = url(event_loop, files.tls("server", "global", verify_https_client=True))

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_REQUIRED"):
        requests.get(at, verify=files.ca_file, timeout=PATIENCE)


def test_an_agent_that_wants_one_refuses_that_of_another_cluster(
    event_loop: EventLoop, files: CertificateFiles, others: CertificateFiles
) -> None:
    at = url(event_loop, files.tls("server", "global", verify_https_client=True))

    with pytest.raises(requests.exceptions.SSLError, match="UNKNOWN_CA"):
        requests.get(at, verify=files.ca_file, cert=pair(others, "cli"), timeout=PATIENCE)


def test_a_certificate_can_have_expired(event_loop: EventLoop, others: CertificateFiles) -> None:
    issue_certificate(others, "server", "global", HOSTS, NOW - timedelta(days=2), days=1)
    at = url(event_loop, others.tls("server", "global"))

    with pytest.raises(requests.exceptions.SSLError, match="certificate has expired"):
        requests.get(at, verify=others.ca_file, timeout=PATIENCE)


def test_an_agent_refuses_a_client_whose_certificate_has_expired(
    event_loop: EventLoop, others: CertificateFiles
) -> None:
    issue_certificate(others, "cli", "global", HOSTS, NOW - timedelta(days=2), days=1)
    at = url(event_loop, others.tls("server", "global", verify_https_client=True))

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_EXPIRED"):
        requests.get(at, verify=others.ca_file, cert=pair(others, "cli"), timeout=PATIENCE)


def test_a_certificate_is_issued_anew_with_another_key(others: CertificateFiles) -> None:
    before = certificate(others.cert_file("server", "global"))

    issue_certificate(others, "server", "global", HOSTS, NOW)

    assert certificate(others.cert_file("server", "global")).public_key() != before.public_key()
    assert stat.S_IMODE(Path(others.key_file("server", "global")).stat().st_mode) == 0o600


def test_an_expired_certificate_is_the_same_but_for_its_time_and_a_file_of_its_own(others: CertificateFiles) -> None:
    tls = others.tls("server", "global", verify_https_client=True)
    before = Path(tls.cert_file).read_bytes()
    late = expire_certificate(tls, "s1.global", NOW)
    finished, living = certificate(late.cert_file), certificate(tls.cert_file)

    assert late == replace(tls, cert_file=str(others.folder / "s1.global-expired.pem"))
    assert Path(tls.cert_file).read_bytes() == before
    assert finished.not_valid_after_utc == NOW - timedelta(days=1)
    assert (finished.subject, finished.issuer, finished.public_key()) == (
        living.subject,
        living.issuer,
        living.public_key(),
    )
    assert list(finished.extensions) == list(living.extensions)
    assert finished.serial_number != living.serial_number
    finished.verify_directly_issued_by(certificate(tls.ca_file))
    server_context(late)
