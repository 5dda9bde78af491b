"""The command line of the demo: what it makes of the user's choices."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from nomad_sim import run
from nomad_sim.command import command
from nomad_sim.options import Options


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The options of each demo that would have run."""
    started: list[Options] = []

    def pretend(options: Options, _: Any) -> int:
        started.append(options)
        return 0

    monkeypatch.setattr(run, "run", pretend)
    return started


def refusal(*arguments: str) -> str:
    with pytest.raises(click.UsageError) as error:
        command().main(list(arguments), standalone_mode=False)
    return error.value.message


def test_without_a_choice_it_is_the_default(chosen: list[Options]) -> None:
    command().main([], standalone_mode=False)

    assert chosen == [Options()]


def test_an_incident_switches_on_what_it_needs(chosen: list[Options]) -> None:
    command().main(["--incident", "client-cut-off-acl"], standalone_mode=False)
    command().main(["--incident", "region-lost", "--tls"], standalone_mode=False)
    command().main(["--incident", "certificate-expired", "--verify-https-client"], standalone_mode=False)

    assert [(options.incident, options.acl, options.tls, options.regions) for options in chosen] == [
        ("client-cut-off-acl", True, False, 1),
        ("region-lost", False, True, 2),
        ("certificate-expired", False, True, 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--incident", "leader-killed", "--servers", "5"], "--incident: leader-killed needs --servers 3"),
        (["--incident", "client-cut-off", "--acl"], "--incident: client-cut-off needs no --acl"),
        (["--incident", "client-cut-off", "--clients", "0"], "--incident: client-cut-off needs --clients 1"),
        (["--incident", "region-lost", "--regions", "1"], "--incident: region-lost needs --regions 2"),
        (["--incident", "version-skew", "--version", "1.6"], "--incident: version-skew needs --version 2.0"),
    ],
)
def test_a_choice_against_the_incident_is_refused_with_what_it_needs(
    chosen: list[Options], arguments: list[str], fields: str
) -> None:
    assert refusal(*arguments) == fields
    assert not chosen


def test_a_choice_that_suits_the_incident_is_kept(chosen: list[Options]) -> None:
    command().main(
        ["--incident", "leader-killed", "--servers", "3", "--acl", "--version", "1.6"], standalone_mode=False
    )

    assert (chosen[0].servers, chosen[0].acl, chosen[0].version.series) == (3, True, "1.6")


def test_an_incident_that_there_is_not_is_refused(chosen: list[Options]) -> None:
    assert "'fire' is not one of 'leader-killed'" in refusal("--incident", "fire")
    assert not chosen


def test_the_interval_is_that_of_the_exporter_and_no_less_than_a_machine_can_bear(chosen: list[Options]) -> None:
    command().main(["--interval", "0.2"], standalone_mode=False)

    assert chosen[0].interval == 0.2
    assert "0.01 is not in the range" in refusal("--interval", "0.01")


def test_help_tells_the_incidents() -> None:
    result = " ".join(CliRunner().invoke(command(), ["--help"], terminal_width=500).output.split())

    assert "Play an incident, with the options that it needs: leader-killed, quorum-lost," in result
