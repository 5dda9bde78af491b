"""The banner of the demo."""

from __future__ import annotations

from pathlib import Path

from nomad_sim.banner import curl_command, render_banner
from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import setups
from nomad_sim.options import Options

OPTIONS = Options(port=20000)
URLS = {"demo": "http://127.0.0.1:14640", "nomad-exporter": "http://127.0.0.1:9441"}


def banner(options: Options, tokens: dict[str, str], urls: dict[str, str]) -> str:
    return render_banner(options, setups(options, None), tokens, None, urls)


def test_banner_names_cluster_pages_and_commands() -> None:
    text = banner(OPTIONS, {}, URLS)

    assert text.startswith("Simulated cluster of Nomad 2.0.5: 3 servers and 2 clients.\n")
    assert "http://127.0.0.1:9441/metrics" in text
    assert "curl 'http://127.0.0.1:20000/v1/agent/self?pretty'" in text
    assert "curl -X POST http://127.0.0.1:14640/s1.global/kill" in text
    assert text.endswith("Ctrl-C stops the demo and removes its files.")


def test_banner_is_short() -> None:
    assert len(banner(OPTIONS, {}, URLS).splitlines()) <= 12


def test_banner_shows_commands_for_incidents_and_checks() -> None:
    text = render_banner(OPTIONS, setups(OPTIONS, None), {}, None, URLS, "/tmp/a demo/exporter.yml")  # noqa: S108  # not opened

    assert "curl http://127.0.0.1:14640/incidents\n" in text
    assert "nomad-exporter check --config.file '/tmp/a demo/exporter.yml' quorum\n" in text
    assert "check quorum" not in banner(OPTIONS, {}, URLS)


def test_banner_shows_running_programs_only() -> None:
    assert "metrics" not in banner(OPTIONS, {}, {"demo": URLS["demo"]})
    assert "http://127.0.0.1:9090/graph" in banner(OPTIONS, {}, {**URLS, "prometheus": "http://127.0.0.1:9090"})


def test_summary_counts_agents_and_regions() -> None:
    text = banner(Options(servers=1, clients=1, regions=2, port=20000), {}, URLS)

    assert "1 server and 1 client in each of 2 regions." in text
    assert "/health?agent=s1.east" in text


def test_curl_command_has_token_and_certificates(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path)
    options = Options(port=20000, tls=True, verify_https_client=True)
    command = curl_command(options, setups(options, files)[0], {"monitoring": "secret"}, files)

    assert "-H 'X-Nomad-Token: secret'" in command
    assert f"--cacert {files.ca_file}" in command
    assert f"--cert {files.cert_file('cli', 'global')} --key {files.key_file('cli', 'global')}" in command
    assert command.endswith("'https://127.0.0.1:20000/v1/agent/self?pretty'")
    assert "--cert " not in curl_command(Options(tls=True), setups(options, files)[0], {}, files)
    assert "monitoring token" in banner(OPTIONS, {"monitoring": "secret"}, URLS)
