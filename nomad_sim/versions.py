"""The versions of Nomad that the simulated cluster plays, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Version:
    """One version of Nomad, as far as an agent's answers show it.

    ``series`` is what a user names (``1.10``), ``build`` what the agent calls itself. Every other field is a trait that
    changed between the versions; its default is that of the newest.
    """

    series: str
    build: str
    go: str
    """The version of Go that it was built with, as ``stats.runtime.version`` tells it."""
    raft_protocol: int = 3
    """From 3 on a server has an ID of its own, and a new one is a non-voter first."""
    pre_vote: bool = True
    """Whether a candidate asks before it raises the term."""
    members_left_by_autopilot: bool = False
    """Whether the member of a dead server that autopilot removed becomes ``left``; else it stays ``failed``."""
    tags: frozenset[str] = frozenset({"revision"})
    """Tags of a server's member that not every version has."""
    vault: bool = False
    """Whether a server has a group of stats about Vault."""
    vault_renewals: bool = False
    """Whether that group tells when the token was renewed, and will be."""
    log_store: bool = True
    """Whether a server tells its log store."""
    waits_for_registration: bool = True
    """Whether a client's questions to a server wait until it has registered once."""
    masks_unknown_tokens: bool = True
    """Whether a client goes on with a token that it knew, where the servers know it no more."""
    accepts_bearer: bool = True
    """Whether ``Authorization: Bearer`` carries a token."""
    errors_have_content_type: bool = True
    """Whether an error has a content type."""
    strict_stale: bool = True
    """Whether a ``stale`` that is no truth is an error."""
    stale_error_has_body: bool = False
    """Whether the answer follows that error in the same body."""
    sends_too_many_requests: bool = True
    """Whether a client with too many connections is told so; else the next one is just closed."""
    join_failure: str = "failed to join"
    """How the error of a join begins for each address that failed."""
    join_warning: bool = True
    """Whether the answer to a join has a warning."""
    prune: bool = True
    """Whether a force-leave can also forget the member."""
    node_pools: bool = True
    """Whether a node belongs to a pool."""
    autopilot_leader: bool = True
    """Whether autopilot's health names the leader."""
    unhealthy_has_content_type: bool = False
    """Whether autopilot's health has a content type where not all is well."""
    compresses_empty: bool = True
    """Whether also an empty body is compressed for who takes that."""


_V2_0 = Version("2.0", "2.0.5", "go1.26.8")
_V1_10 = replace(
    _V2_0,
    series="1.10",
    build="1.10.5",
    members_left_by_autopilot=True,
    log_store=False,
    join_failure="Failed to join",
    join_warning=False,
)
_V1_6 = replace(
    _V1_10,
    series="1.6",
    build="1.6.10",
    go="go1.22.12",
    pre_vote=False,
    vault=True,
    vault_renewals=True,
    errors_have_content_type=False,
    stale_error_has_body=True,
    autopilot_leader=False,
)
_V1_2 = replace(
    _V1_6,
    series="1.2",
    build="1.2.16",
    go="go1.20.14",
    tags=frozenset({"mvn"}),
    vault_renewals=False,
    waits_for_registration=False,
    masks_unknown_tokens=False,
    accepts_bearer=False,
    errors_have_content_type=True,
    strict_stale=False,
    stale_error_has_body=False,
    sends_too_many_requests=False,
    prune=False,
    node_pools=False,
    unhealthy_has_content_type=True,
    compresses_empty=False,
)
_V0_12 = replace(_V1_2, series="0.12", build="0.12.12", go="go1.14.15", raft_protocol=2)

_ALL = (_V2_0, _V1_10, _V1_6, _V1_2, _V0_12)

VERSIONS: Mapping[str, Version] = {version.series: version for version in _ALL}
"""By series, the newest first; each is written as what was otherwise than in the next one."""

NEWEST = _V2_0
