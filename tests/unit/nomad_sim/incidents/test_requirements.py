"""The requirements of an incident, compared with a cluster and with the user's options."""

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
LARGE = ClusterShape((3, 3), (1, 2), acl=True, tls=True, versions=frozenset({"2.0", "1.10"}))


@pytest.mark.parametrize(
    ("requirements", "shape", "missing"),
    [
        (Requirements(), SMALL, ""),
        (Requirements(), LARGE, ""),
        (Requirements(servers=5), SMALL, "5 servers in each region"),
        (Requirements(servers=1), LARGE, "1 servers in each region"),
        (Requirements(clients=2), LARGE, "2 or more clients in each region"),
        (Requirements(clients=2, regions=2), SMALL, "2 or more clients in each region, 2 or more regions"),
        (Requirements(acl=True), SMALL, "ACLs (--acl)"),
        (Requirements(acl=False), LARGE, "no ACLs"),
        (Requirements(tls=True), SMALL, "TLS (--tls)"),
        (Requirements(versions=("2.0", "1.6")), LARGE, "Nomad 2.0 or 1.6"),
    ],
)
def test_missing_requirements_are_listed(requirements: Requirements, shape: ClusterShape, missing: str) -> None:
    assert missing_requirements(requirements, shape) == missing


def test_shape_counts_agents_per_region() -> None:
    options = Options(port=20000, servers=2, clients=3, regions=2, acl=True, version=VERSIONS["1.6"])
    cluster = Cluster(setups(options, None), Timing(), 1, 0.0)

    assert cluster_shape(cluster.world.agents) == ClusterShape((2, 2), (3, 3), True, False, frozenset({"1.6"}))


def incident(**requirements: Any) -> Incident:
    return Incident("test", "A test.", (Step("A step."),), Requirements(**requirements))


def test_only_required_options_change() -> None:
    chosen = Options(clients=0, pace=7.0, servers=5)
    options = fit_options(chosen, incident(acl=True, tls=True, regions=2, versions=("1.6",)), ())

    assert (options.acl, options.tls, options.regions, options.servers, options.clients) == (True, True, 2, 3, 1)
    assert (options.version, options.pace, options.incident) == (VERSIONS["1.6"], 7.0, "test")


def test_suitable_options_are_kept() -> None:
    chosen = Options(clients=7, regions=3, acl=True, version=VERSIONS["1.10"])
    options = fit_options(chosen, incident(regions=2), {"clients", "regions", "acl", "version", "servers"})

    assert (options.clients, options.regions, options.acl, options.version) == (7, 3, True, VERSIONS["1.10"])


@pytest.mark.parametrize(
    ("options", "chosen", "requirements", "message"),
    [
        (Options(servers=5), {"servers"}, {}, "test requires --servers 3"),
        (Options(clients=0), {"clients"}, {}, "test requires --clients 1"),
        (Options(regions=1), {"regions"}, {"regions": 2}, "test requires --regions 2"),
        (Options(acl=True), {"acl"}, {"acl": False}, "test requires a cluster without --acl"),
        (Options(version=VERSIONS["0.12"]), {"version"}, {}, "test requires --version 2.0"),
        (Options(), {"tls"}, {"tls": True}, "test requires --tls"),
    ],
)
def test_conflicting_option_is_refused(
    options: Options, chosen: Collection[str], requirements: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionConflict, match=f"^{message}$"):
        fit_options(options, incident(**requirements), chosen)
