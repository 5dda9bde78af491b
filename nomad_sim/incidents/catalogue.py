"""All incidents, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping

from nomad_sim.incidents import access, clients, failures, maintenance, outages
from nomad_sim.incidents.scenario import Incident

_ALL = (
    failures.LEADER_KILLED,
    outages.QUORUM_LOST,
    failures.FOLLOWER_CUT_OFF,
    failures.SERVER_FAILED_AND_BACK,
    maintenance.SERVER_REPLACED,
    clients.CLIENT_CUT_OFF,
    clients.CLIENT_CUT_OFF_ACL,
    failures.AGENT_FROZEN,
    access.TOKEN_REVOKED,
    access.CERTIFICATE_EXPIRED,
    outages.REGION_LOST,
    maintenance.ROLLING_RESTART,
    outages.FULL_RESTART,
    access.GOSSIP_ENCRYPTION_OFF,
    maintenance.VERSION_SKEW,
    failures.LEADER_BLACKHOLED,
)

INCIDENTS: Mapping[str, Incident] = {incident.name: incident for incident in _ALL}
"""All incidents by name."""
