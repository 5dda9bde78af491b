"""Certificates of a simulated cluster: files, names, validity, and which clients and agents trust them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
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
    CLOCK_SKEW,
    ROLES,
    CertificateFiles,
    Role,
    expire_certificate,
    make_certificates,
    server_context,
)
from nomad_sim.setup import Setup, Tls
from tests.support.event_loop import EventLoop, running_loop
from tests.support.waiting import PATIENCE

HOSTS = ("127.0.0.1", "::1", "10.1.2.3", "nomad.example.org")
REGIONS = ("global", "west")
NOW = datetime.now(UTC).replace(microsecond=0)

ROLES_AND_REGIONS = [(role, region) for region in REGIONS for role in ROLES]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_certificates(tmp_path_factory.mktemp("tls"), HOSTS, REGIONS, NOW, days=30)


@pytest.fixture
def foreign_files(tmp_path: Path) -> CertificateFiles:
    """Return the certificate files of another cluster, which a test may change."""
    return make_certificates(tmp_path, HOSTS, ["global"], NOW)


@pytest.fixture
def expired_files(tmp_path: Path) -> CertificateFiles:
    return make_certificates(tmp_path, HOSTS, ["global"], NOW - timedelta(days=2), days=1)


def certificate(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


def alternative_names(path: str) -> x509.SubjectAlternativeName:
    return certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def common_name(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_files_are_named_like_those_of_nomad_tls(files: CertificateFiles) -> None:
    pairs = {f"{region}-{role}-nomad{key}.pem" for role, region in ROLES_AND_REGIONS for key in ("", "-key")}

    assert {path.name for path in files.folder.iterdir()} == {"nomad-agent-ca.pem", "nomad-agent-ca-key.pem"} | pairs


def test_only_owner_can_read_keys(files: CertificateFiles) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.folder.glob("*-key.pem")}

    assert set(modes.values()) == {0o600}
    assert len(modes) == 7


@pytest.mark.parametrize(("role", "region"), ROLES_AND_REGIONS)
def test_ca_issues_certificates(role: Role, region: str, files: CertificateFiles) -> None:
    certificate(files.cert_file(role, region)).verify_directly_issued_by(certificate(files.ca_file))


@pytest.mark.parametrize(("role", "region"), ROLES_AND_REGIONS)
def test_certificate_names_role_and_region(role: Role, region: str, files: CertificateFiles) -> None:
    path = files.cert_file(role, region)

    assert common_name(certificate(path).subject) == f"{role}.{region}.nomad"
    assert alternative_names(path).get_values_for_type(x509.DNSName)[:2] == [f"{role}.{region}.nomad", "localhost"]


@pytest.mark.parametrize("role", ["server", "client"])
def test_agent_certificate_names_its_hosts(role: Role, files: CertificateFiles) -> None:
    names = alternative_names(files.cert_file(role, "west"))

    assert names.get_values_for_type(x509.DNSName)[2:] == ["nomad.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(host) for host in HOSTS[:3]]


def test_cli_certificate_names_no_address(files: CertificateFiles) -> None:
    assert alternative_names(files.cert_file("cli", "west")).get_values_for_type(x509.IPAddress) == []


@pytest.mark.parametrize(("role", "region"), ROLES_AND_REGIONS)
def test_certificate_authenticates_servers_and_clients(role: Role, region: str, files: CertificateFiles) -> None:
    extensions = certificate(files.cert_file(role, region)).extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= set(purposes)
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


@pytest.mark.parametrize(("role", "region"), ROLES_AND_REGIONS)
def test_keys_use_p_256(role: Role, region: str, files: CertificateFiles) -> None:
    key = certificate(files.cert_file(role, region)).public_key()

    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)


def test_certificate_is_valid_from_shortly_before_now(files: CertificateFiles) -> None:
    issued, ca = certificate(files.cert_file("server", "global")), certificate(files.ca_file)

    assert (issued.not_valid_before_utc, issued.not_valid_after_utc) == (NOW - CLOCK_SKEW, NOW + timedelta(days=30))
    assert ca.not_valid_before_utc <= issued.not_valid_before_utc
    assert ca.not_valid_after_utc >= issued.not_valid_after_utc


def test_each_ca_has_its_own_name(files: CertificateFiles, foreign_files: CertificateFiles) -> None:
    assert certificate(files.ca_file).subject != certificate(foreign_files.ca_file).subject


def test_invalid_host_name_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UnicodeError):
        make_certificates(tmp_path, ["my_host"], ["global"], NOW)


async def agent(_: Message, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"response"})


@pytest.fixture(scope="module")
def event_loop() -> Iterator[EventLoop]:
    with running_loop() as event_loop:
        yield event_loop


def url(event_loop: EventLoop, tls: Tls, host: str = "127.0.0.1") -> str:
    """Start an agent with ``tls``; return its URL."""
    return f"https://{host}:{event_loop.start_listener(agent, tls=server_context(tls)).address.port}"


def pair(files: CertificateFiles, role: Role, region: str = "global") -> tuple[str, str]:
    return files.cert_file(role, region), files.key_file(role, region)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("role", ["server", "client"])
def test_client_with_ca_trusts_agent(host: str, role: Role, event_loop: EventLoop, files: CertificateFiles) -> None:
    agent_url = url(event_loop, files.tls(role, "global"), host)

    assert requests.get(agent_url, verify=files.ca_file, timeout=PATIENCE).text == "response"


def test_client_rejects_address_that_certificate_lacks(event_loop: EventLoop, files: CertificateFiles) -> None:
    agent_url = url(event_loop, files.tls("cli", "global"))

    with pytest.raises(requests.exceptions.SSLError, match="IP address mismatch"):
        requests.get(agent_url, verify=files.ca_file, timeout=PATIENCE)


def test_client_rejects_agent_of_another_cluster(
    event_loop: EventLoop, files: CertificateFiles, foreign_files: CertificateFiles
) -> None:
    agent_url = url(event_loop, foreign_files.tls("server", "global"))

    with pytest.raises(requests.exceptions.SSLError, match="unable to get local issuer certificate"):
        requests.get(agent_url, verify=files.ca_file, timeout=PATIENCE)


def test_client_needs_no_certificate_by_default(event_loop: EventLoop, files: CertificateFiles) -> None:
    assert requests.get(url(event_loop, files.tls("server", "west")), verify=files.ca_file, timeout=PATIENCE).ok


@pytest.mark.parametrize("role", ROLES)
def test_verifying_agent_accepts_certificates_of_its_ca(
    role: Role, event_loop: EventLoop, files: CertificateFiles
) -> None:
    agent_url = url(event_loop, files.tls("server", "global", verify_https_client=True))

    assert requests.get(agent_url, verify=files.ca_file, cert=pair(files, role, "west"), timeout=PATIENCE).ok


def test_verifying_agent_rejects_client_without_certificate(event_loop: EventLoop, files: CertificateFiles) -> None:
    agent_url = url(event_loop, files.tls("server", "global", verify_https_client=True))

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_REQUIRED"):
        requests.get(agent_url, verify=files.ca_file, timeout=PATIENCE)


def test_verifying_agent_rejects_foreign_certificate(
    event_loop: EventLoop, files: CertificateFiles, foreign_files: CertificateFiles
) -> None:
    agent_url = url(event_loop, files.tls("server", "global", verify_https_client=True))

    with pytest.raises(requests.exceptions.SSLError, match="UNKNOWN_CA"):
        requests.get(agent_url, verify=files.ca_file, cert=pair(foreign_files, "cli"), timeout=PATIENCE)


def test_client_rejects_expired_certificate(event_loop: EventLoop, expired_files: CertificateFiles) -> None:
    agent_url = url(event_loop, expired_files.tls("server", "global"))

    with pytest.raises(requests.exceptions.SSLError, match="certificate has expired"):
        requests.get(agent_url, verify=expired_files.ca_file, timeout=PATIENCE)


def test_verifying_agent_rejects_expired_certificate(event_loop: EventLoop, foreign_files: CertificateFiles) -> None:
    tls = foreign_files.tls("server", "global", verify_https_client=True)
    expired = expire_certificate(Setup("cli", "id"), tls, NOW)

    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_EXPIRED"):
        requests.get(
            url(event_loop, tls),
            verify=foreign_files.ca_file,
            cert=(expired.cert_file, expired.key_file),
            timeout=PATIENCE,
        )


def test_certificates_made_again_have_new_keys(foreign_files: CertificateFiles) -> None:
    before = certificate(foreign_files.cert_file("server", "global"))

    make_certificates(foreign_files.folder, HOSTS, ["global"], NOW)

    assert certificate(foreign_files.cert_file("server", "global")).public_key() != before.public_key()
    assert stat.S_IMODE(Path(foreign_files.key_file("server", "global")).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("role", "setup"), [("server", Setup("s1", "id")), ("client", Setup("c1", "id", server=False))]
)
def test_expired_certificate_has_same_names(role: Role, setup: Setup, tmp_path: Path) -> None:
    files = make_certificates(tmp_path, [setup.host], ["global"], NOW)
    tls = files.tls(role, "global", verify_https_client=True)
    before = Path(tls.cert_file).read_bytes()
    expired_tls = expire_certificate(setup, tls, NOW)
    expired, valid = certificate(expired_tls.cert_file), certificate(tls.cert_file)

    assert (expired_tls.ca_file, expired_tls.verify_https_client) == (tls.ca_file, True)
    assert expired_tls.cert_file == str(tmp_path / f"{setup.full_name}-expired.pem")
    assert Path(tls.cert_file).read_bytes() == before
    assert expired.not_valid_after_utc == NOW - timedelta(days=1)
    assert expired.issuer == valid.issuer
    assert common_name(expired.subject) == common_name(valid.subject)
    assert alternative_names(expired_tls.cert_file) == alternative_names(tls.cert_file)
    assert expired.serial_number != valid.serial_number
    expired.verify_directly_issued_by(certificate(tls.ca_file))
    server_context(expired_tls)
