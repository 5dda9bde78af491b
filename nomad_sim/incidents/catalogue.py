"""Every incident, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Mapping

from nomad_exporter.demo.incidents import access, clients, failures, outages, upkeep
from nomad_exporter.demo.incidents.story import Incident

_ALL = (
    failures.LEADER_KILLED,
    outages.QUORUM_LOST,
    failures.FOLLOWER_CUT_OFF,
    failures.SERVER_FAILED_AND_BACK,
    upkeep.SERVER_REPLACED,
    clients.CLIENT_CUT_OFF,
    clients.CLIENT_CUT_OFF_ACL,
    failures.AGENT_FROZEN,
    access.TOKEN_REVOKED,
    access.CERTIFICATE_EXPIRED,
    outages.REGION_LOST,
    upkeep.ROLLING_RESTART,
    outages.FULL_RESTART,
    access.GOSSIP_ENCRYPTION_OFF,
    upkeep.VERSION_SKEW,
    failures.LEADER_BLACKHOLED,
)

INCIDENTS: Mapping[str, Incident] = {incident.name: incident for incident in _ALL}
"""By name."""
