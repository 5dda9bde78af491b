"""What the demo tells the user when all is there."""

from __future__ import annotations

from pathlib import Path

from nomad_sim.banner import curl_command, render_banner
from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import setups
from nomad_sim.options import Options

OPTIONS = Options(port=20000)
URLS = {"demo": "http://127.0.0.1:14640", "nomad-exporter": "http://127.0.0.1:9441"}


def result(options: Options, tokens: dict[str, str], urls: dict[str, str]) -> str:
    return render_banner(options, setups(options, None), tokens, None, urls)


def test_it_names_the_cluster_the_pages_and_what_to_try() -> None:
    text = result(OPTIONS, {}, URLS)

    assert text.startswith("A simulated cluster of Nomad 2.0.5: 3 servers and 2 clients.\n")
    assert "http://127.0.0.1:9441/metrics" in text
    assert "curl 'http://127.0.0.1:20000/v1/agent/self?pretty'" in text
    assert "curl -X POST http://127.0.0.1:14640/s1.global/kill" in text
    assert text.endswith("Ctrl-C ends it, and nothing is left behind.")


def test_it_is_a_few_lines() -> None:
    assert len(result(OPTIONS, {}, URLS).splitlines()) <= 12


def test_incidents_and_a_check_can_be_tried_at_once() -> None:
    text = render_banner(OPTIONS, setups(OPTIONS, None), {}, None, URLS, "/tmp/a demo/exporter.yml")  # noqa: S108  # is not opened

    assert "curl http://127.0.0.1:14640/incidents\n" in text
    assert "nomad-exporter check --config.file '/tmp/a demo/exporter.yml' quorum\n" in text
    assert "check" not in result(OPTIONS, {}, URLS)


def test_without_the_exporter_its_pages_are_not_named_and_prometheus_is_where_it_runs() -> None:
    assert "metrics" not in result(OPTIONS, {}, {"demo": URLS["demo"]})
    assert "http://127.0.0.1:9090/graph" in result(OPTIONS, {}, {**URLS, "prometheus": "http://127.0.0.1:9090"})


def test_one_is_not_several_and_regions_are_counted() -> None:
    text = result(Options(servers=1, clients=1, regions=2, port=20000), {}, URLS)

    assert "1 server and 1 client in each of 2 regions." in text
    assert "/health?agent=s1.east" in text


def test_the_tokens_and_the_files_that_an_agent_asks_for_are_in_the_command(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path)
    options = Options(port=20000, tls=True, verify_https_client=True)
    command = curl_command(options, setups(options, files)[0], {"monitoring": "secret"}, files)

    assert "-H 'X-Nomad-Token: secret'" in command
    assert f"--cacert {files.ca_file}" in command
    assert f"--cert {files.cert_file('cli', 'global')} --key {files.key_file('cli', 'global')}" in command
    assert command.endswith("'https://127.0.0.1:20000/v1/agent/self?pretty'")
    assert "--cert " not in curl_command(Options(tls=True), setups(options, files)[0], {}, files)
    assert "monitoring token" in result(OPTIONS, {"monitoring": "secret"}, URLS)
