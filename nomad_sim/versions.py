"""The simulated versions of Nomad and their differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Version:
    """One version of Nomad, with the differences that an agent's responses show.

    ``series`` is the version on the command line (``1.10``), ``build`` the version that the agent reports. Every other
    field is a difference between the versions; its default applies to the newest.
    """

    series: str
    build: str
    go: str
    """The version of Go in ``stats.runtime.version``."""
    raft_protocol: int = 3
    """From 3 on, the Raft ID is not the address, and a new server starts as a non-voter."""
    pre_vote: bool = True
    """Whether a candidate requests a pre-vote before it increments the term."""
    members_left_by_autopilot: bool = False
    """Whether a failed member becomes ``left`` when autopilot removes the server, instead of staying ``failed``."""
    tags: frozenset[str] = frozenset({"revision"})
    """The tags of a server's member that only some versions have."""
    vault: bool = False
    """Whether the stats of a server have a group ``vault``."""
    vault_renewals: bool = False
    """Whether the group ``vault`` has the times of the token's last and next renewal."""
    log_store: bool = True
    """Whether the stats of a server have the log store."""
    waits_for_registration: bool = True
    """Whether a client's RPCs to servers wait until the client has registered."""
    masks_unknown_tokens: bool = True
    """Whether a client keeps accepting a cached token that the servers no longer know."""
    accepts_bearer: bool = True
    """Whether an agent accepts a token in ``Authorization: Bearer``."""
    errors_have_content_type: bool = True
    """Whether error responses have a content type."""
    strict_stale: bool = True
    """Whether a ``stale`` parameter that is not a boolean is an error."""
    stale_error_has_body: bool = False
    """Whether the response follows that error in the same body."""
    sends_too_many_requests: bool = True
    """Whether a connection above the limit receives a 429, instead of only being closed."""
    join_failure: str = "failed to join"
    """The beginning of the error for each address that could not be joined."""
    join_warning: bool = True
    """Whether the response to a join has a warning."""
    prune: bool = True
    """Whether force-leave supports ``prune``, which removes the member."""
    node_pools: bool = True
    """Whether nodes belong to node pools."""
    autopilot_leader: bool = True
    """Whether autopilot health has the leader and the voters."""
    unhealthy_has_content_type: bool = False
    """Whether autopilot health has a content type when the cluster is unhealthy."""
    compresses_empty: bool = True
    """Whether an empty body is compressed, too, if the client accepts gzip."""


# Each version is defined by its differences from the next newer one.
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
"""The versions by series, newest first."""

NEWEST = _V2_0
