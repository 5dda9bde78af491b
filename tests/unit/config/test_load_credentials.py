"""The credential check names the setting at fault and quotes nothing from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from nomad_exporter.config import file
from nomad_exporter.config.load import check_credentials
from nomad_exporter.config.model import ConfigError, DocumentError
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Tls

HTTP = Address("http", "nomad.example.org", 4646)
HTTPS = Address("https", "nomad.example.org", 4646)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, Any]:
    """Return the files of a CA, and of a client's certificate and key."""
    leaf = authority.issue_cert("client.global.nomad")
    ca, cert, key = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.cert_pem.write_to_path(ca)
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    return {"ca_file": ca, "cert_file": cert, "key_file": key}


def https_agent(**tls: Any) -> tuple[Agent, ...]:
    return (Agent("n1", HTTPS, tls=Tls(**tls)),)


def test_agent_without_files_passes() -> None:
    check_credentials((Agent("n1", HTTP),))


def test_valid_credential_files_pass(files: dict[str, Any], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hidden\n")

    check_credentials((Agent("n1", HTTPS, Credentials(token_file=token), Tls(**files)),))


def test_error_names_missing_token_file() -> None:
    with pytest.raises(ConfigError, match=r"^--nomad\.token-file /no/such/token: No such file or directory$"):
        check_credentials((Agent("n1", HTTP, Credentials(token_file=Path("/no/such/token"))),))


def test_error_names_invalid_ca_file_without_quoting_it(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("hidden\n")

    with pytest.raises(ConfigError, match=rf"^--nomad\.ca-file {ca}: not a CA certificate in PEM format$"):
        check_credentials(https_agent(ca_file=ca))


def test_key_of_another_certificate_is_refused(files: dict[str, Any], authority: trustme.CA, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    authority.issue_cert("other").private_key_pem.write_to_path(other)

    with pytest.raises(ConfigError, match=rf"^--nomad\.cert-file .*: does not belong to the key {other}$"):
        check_credentials(https_agent(**{**files, "key_file": other}))


def test_error_names_setting_of_unusable_key(files: dict[str, Any], tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")

    with pytest.raises(ConfigError, match=rf"^--nomad\.key-file {key}: key is encrypted; remove its passphrase "):
        check_credentials(https_agent(**{**files, "key_file": key}))


@pytest.mark.parametrize(
    ("content", "problem"), [("\n", "file is empty"), ("a\nb", "must be one line of printable ASCII")]
)
def test_token_file_without_a_token_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    token = tmp_path / "token"
    token.write_text(content)

    with pytest.raises(ConfigError, match=rf"^--nomad\.token-file {token}: {problem}$"):
        check_credentials((Agent("n1", HTTP, Credentials(token_file=token)),))


def test_credentials_of_every_agent_are_checked(files: dict[str, Any]) -> None:
    valid, invalid = https_agent(ca_file=files["ca_file"]), https_agent(ca_file=Path("/no/such/ca"))

    with pytest.raises(ConfigError, match="/no/such/ca"):
        check_credentials(valid + invalid)


def test_error_names_line_and_key_in_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text("defaults: {token_file: none}\nagents:\n- address: http://nomad.example.org:4646\n")
    entries = file.read(path).agents
    agents = (Agent("n1", HTTP, Credentials(token_file=tmp_path / "none")),)

    with pytest.raises(DocumentError, match=r"fleet\.yml:1: defaults\.token_file: .*/none: No such file or directory$"):
        check_credentials(agents, entries)
