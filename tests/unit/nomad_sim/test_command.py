"""The command line of the demo."""

from __future__ import annotations

import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner

from nomad_sim import run
from nomad_sim.command import command
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.options import Options
from nomad_sim.sockets import Address, PortInUse


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """Record the options of each demo that is started."""
    recorded: list[Options] = []

    def record(options: Options, _: Any) -> int:
        recorded.append(options)
        return 0

    monkeypatch.setattr(run, "run", record)
    return recorded


def usage_error(*arguments: str) -> str:
    with pytest.raises(click.UsageError) as error:
        command().main(list(arguments), standalone_mode=False)
    return error.value.message


def test_no_options_run_default_demo(started: list[Options]) -> None:
    command().main([], standalone_mode=False)

    assert started == [Options()]


def test_incident_enables_required_options(started: list[Options]) -> None:
    command().main(["--incident", "client-cut-off-acl"], standalone_mode=False)
    command().main(["--incident", "region-lost", "--tls"], standalone_mode=False)
    command().main(["--incident", "certificate-expired", "--verify-https-client"], standalone_mode=False)

    assert [(options.incident, options.acl, options.tls, options.regions) for options in started] == [
        ("client-cut-off-acl", True, False, 1),
        ("region-lost", False, True, 2),
        ("certificate-expired", False, True, 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--incident", "leader-killed", "--servers", "5"], "--incident leader-killed requires --servers 3"),
        (["--incident", "client-cut-off", "--acl"], "--incident client-cut-off requires a cluster without --acl"),
        (["--incident", "client-cut-off", "--clients", "0"], "--incident client-cut-off requires --clients 1"),
        (["--incident", "region-lost", "--regions", "1"], "--incident region-lost requires --regions 2"),
        (["--incident", "version-skew", "--version", "1.6"], "--incident version-skew requires --version 2.0"),
    ],
)
def test_option_that_conflicts_with_incident_is_refused(
    started: list[Options], arguments: list[str], message: str
) -> None:
    assert usage_error(*arguments) == message
    assert not started


def test_option_that_suits_incident_is_kept(started: list[Options]) -> None:
    command().main(
        ["--incident", "leader-killed", "--servers", "3", "--acl", "--version", "1.6"], standalone_mode=False
    )

    assert (started[0].servers, started[0].acl, started[0].version.series) == (3, True, "1.6")


def test_unknown_incident_is_refused(started: list[Options]) -> None:
    assert "'fire' is not one of 'leader-killed'" in usage_error("--incident", "fire")
    assert not started


def test_interval_has_a_minimum(started: list[Options]) -> None:
    command().main(["--interval", "0.2"], standalone_mode=False)

    assert started[0].interval == 0.2
    assert usage_error("--interval", "0.01") == "--interval must be a number from 0.1 to 60 (got 0.01)"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_groups_options_and_lists_incidents(flag: str) -> None:
    output = CliRunner().invoke(command(), [flag]).output

    for heading in ("Cluster", "Simulation", "Exporter and Prometheus", "General", "Incidents"):
        assert f"\n{heading}:\n" in output
    assert "  --servers N " in output
    assert "  -h, --help " in output
    assert all(f"\n  {incident}  " in output for incident in INCIDENTS)


def test_help_texts_are_short() -> None:
    options = [option for option in command().params if isinstance(option, click.Option)]

    assert options
    for option in options:
        assert option.help
        assert len(option.help) <= 80
        assert option.help.endswith(".")


def test_numbers_out_of_range_are_refused(started: list[Options]) -> None:
    assert usage_error("--servers", "0") == "--servers must be an integer from 1 to 50 (got 0)"
    assert usage_error("--servers", "two") == "--servers must be an integer from 1 to 50 (got two)"
    assert usage_error("--pace", "nan") == "--pace must be a number from 0.1 to 100 (got nan)"
    assert not started


def test_tls_without_trustme_names_the_extra(started: list[Options], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)

    for arguments in (["--tls"], ["--verify-https-client"], ["--incident", "certificate-expired"]):
        assert usage_error(*arguments) == "--tls requires trustme: pip install 'nomad-exporter[demo]'"
    command().main([], standalone_mode=False)
    assert started == [Options()]


@pytest.mark.parametrize(
    ("port", "arguments", "flag"),
    [
        (9441, [], "--exporter-port"),
        (9441, ["--exporter=false"], "--port"),
        (14640, [], "--control-port"),
        (9090, [], "--port"),
        (14656, [], "--port"),
    ],
)
def test_port_in_use_names_its_flag(
    port: int, arguments: list[str], flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> int:
        raise PortInUse(Address("127.0.0.1", port))

    monkeypatch.setattr(run, "run", fail)

    assert usage_error(*arguments) == f"port {port} is in use; choose another with {flag} (0 picks a free port)"
