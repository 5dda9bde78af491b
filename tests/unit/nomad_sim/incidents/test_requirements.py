"""What an incident needs of a cluster, and what a user may have chosen against it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from nomad_sim.incidents.requirements import (
    ClusterShape,
    OptionConflict,
    cluster_shape,
    fit_options,
    missing_requirements,
)
from nomad_sim.incidents.scenario import Incident, Requirements, Step
from nomad_sim.layout import setups
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.options import Options
from nomad_sim.versions import VERSIONS

SMALL = ClusterShape((3,), (1,), acl=False, tls=False, versions=frozenset({"2.0"}))
GREAT = ClusterShape((3, 3), (1, 2), acl=True, tls=True, versions=frozenset({"2.0", "1.10"}))


@pytest.mark.parametrize(
    ("needs", "shape", "fields"),
    [
        (Requirements(), SMALL, ""),
        (Requirements(), GREAT, ""),
        (Requirements(servers=5), SMALL, "5 servers in each region"),
        (Requirements(servers=1), GREAT, "1 servers in each region"),
        (Requirements(clients=2), GREAT, "2 clients in each region"),
        (Requirements(clients=2, regions=2), SMALL, "2 clients in each region, 2 regions"),
        (Requirements(acl=True), SMALL, "access control (--acl)"),
        (Requirements(acl=False), GREAT, "no access control"),
        (Requirements(tls=True), SMALL, "TLS (--tls)"),
        (Requirements(versions=("2.0", "1.6")), GREAT, "Nomad 2.0 or 1.6"),
    ],
)
def test_what_is_lacking_is_told_in_words(needs: Requirements, shape: ClusterShape, fields: str) -> None:
    assert missing_requirements(needs, shape) == fields


def test_the_shape_is_that_of_the_agents_region_by_region() -> None:
    options = Options(port=20000, servers=2, clients=3, regions=2, acl=True, version=VERSIONS["1.6"])
    cluster = Cluster(setups(options, None), Timing(), 1, 0.0)

    assert cluster_shape(cluster.world.agents) == ClusterShape((2, 2), (3, 3), True, False, frozenset({"1.6"}))


def incident(**needs: Any) -> Incident:
    return Incident("test", "A test.", (Step("It is."),), Requirements(**needs))


def test_what_an_incident_needs_is_switched_on_and_all_else_stays() -> None:
    chosen = Options(clients=0, pace=7.0, servers=5)
    options = fit_options(chosen, incident(acl=True, tls=True, regions=2, versions=("1.6",)), ())

    assert (options.acl, options.tls, options.regions, options.servers, options.clients) == (True, True, 2, 3, 1)
    assert (options.version, options.pace, options.incident) == (VERSIONS["1.6"], 7.0, "test")


def test_what_fits_stays_as_it_was_chosen() -> None:
    chosen = Options(clients=7, regions=3, acl=True, version=VERSIONS["1.10"])
    options = fit_options(chosen, incident(regions=2), {"clients", "regions", "acl", "version", "servers"})

    assert (options.clients, options.regions, options.acl, options.version) == (7, 3, True, VERSIONS["1.10"])


@pytest.mark.parametrize(
    ("options", "chosen", "needs", "fields"),
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
    options: Options, chosen: Collection[str], needs: dict[str, Any], fields: str
) -> None:
    with pytest.raises(OptionConflict, match=f"^{fields}$"):
        fit_options(options, incident(**needs), chosen)
