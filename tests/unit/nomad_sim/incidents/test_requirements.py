"""What an incident needs of a cluster, and what a user may have chosen against it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from nomad_exporter.demo.incidents.needs import Contradiction, Shape, fitted, lacking, shape_of
from nomad_exporter.demo.incidents.story import Incident, Needs, Scene
from nomad_exporter.demo.layout import setups
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.versions import VERSIONS

SMALL = Shape((3,), (1,), acl=False, tls=False, versions=frozenset({"2.0"}))
GREAT = Shape((3, 3), (1, 2), acl=True, tls=True, versions=frozenset({"2.0", "1.10"}))


@pytest.mark.parametrize(
    ("needs", "shape", "words"),
    [
        (Needs(), SMALL, ""),
        (Needs(), GREAT, ""),
        (Needs(servers=5), SMALL, "5 servers in each region"),
        (Needs(servers=1), GREAT, "1 servers in each region"),
        (Needs(clients=2), GREAT, "2 clients in each region"),
        (Needs(clients=2, regions=2), SMALL, "2 clients in each region, 2 regions"),
        (Needs(acl=True), SMALL, "access control (--acl)"),
        (Needs(acl=False), GREAT, "no access control"),
        (Needs(tls=True), SMALL, "TLS (--tls)"),
        (Needs(versions=("2.0", "1.6")), GREAT, "Nomad 2.0 or 1.6"),
    ],
)
def test_what_is_lacking_is_told_in_words(needs: Needs, shape: Shape, words: str) -> None:
    assert lacking(needs, shape) == words


def test_the_shape_is_that_of_the_agents_region_by_region() -> None:
    options = Options(port=20000, servers=2, clients=3, regions=2, acl=True, version=VERSIONS["1.6"])
    cluster = Cluster(setups(options, None), Timing(), 1, 0.0)

    assert shape_of(cluster.world.agents) == Shape((2, 2), (3, 3), True, False, frozenset({"1.6"}))


def incident(**needs: Any) -> Incident:
    return Incident("test", "A test.", (Scene("It is."),), Needs(**needs))


def test_what_an_incident_needs_is_switched_on_and_all_else_stays() -> None:
    chosen = Options(clients=0, pace=7.0, servers=5)
    options = fitted(chosen, incident(acl=True, tls=True, regions=2, versions=("1.6",)), ())

    assert (options.acl, options.tls, options.regions, options.servers, options.clients) == (True, True, 2, 3, 1)
    assert (options.version, options.pace, options.incident) == (VERSIONS["1.6"], 7.0, "test")


def test_what_fits_stays_as_it_was_chosen() -> None:
    chosen = Options(clients=7, regions=3, acl=True, version=VERSIONS["1.10"])
    options = fitted(chosen, incident(regions=2), {"clients", "regions", "acl", "version", "servers"})

    assert (options.clients, options.regions, options.acl, options.version) == (7, 3, True, VERSIONS["1.10"])


@pytest.mark.parametrize(
    ("options", "chosen", "needs", "words"),
    [
        (Options(servers=5), {"servers"}, {}, "test needs --servers 3"),
        (Options(clients=0), {"clients"}, {}, "test needs --clients 1"),
        (Options(regions=1), {"regions"}, {"regions": 2}, "test needs --regions 2"),
        (Options(acl=True), {"acl"}, {"acl": False}, "test needs no --acl"),
        (Options(version=VERSIONS["0.12"]), {"version"}, {}, "test needs --version 2.0"),
        (Options(), {"tls"}, {"tls": True}, "test needs --tls"),
    ],
)
def test_a_choice_that_contradicts_is_refused_with_what_is_needed(
    options: Options, chosen: Collection[str], needs: dict[str, Any], words: str
) -> None:
    with pytest.raises(Contradiction, match=f"^{words}$"):
        fitted(options, incident(**needs), chosen)
