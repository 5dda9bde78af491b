"""Incidents with credentials: tokens, certificates and gossip keys."""

from __future__ import annotations

from nomad_sim.incidents.expectations import (
    CLEANUP,
    ELECTION,
    PROMOTION,
    absent,
    client_ready,
    equals,
    healthy,
    members_failed,
    not_yet_voter,
    poll_failing,
    voters,
    would_lose_quorum,
)
from nomad_sim.incidents.scenario import (
    SERVERS,
    SUPPORTED_VERSIONS,
    Action,
    Expectation,
    Incident,
    Requirements,
    Role,
    Step,
)

_OTHERS = (Role.LEADER, Role.OTHER_FOLLOWER)

_UNAUTHORIZED = (
    equals("nomad_agent_up", 0),
    poll_failing("self", "unauthorized"),
    poll_failing("members", "unauthorized"),
    absent("nomad_exporter_poll_failing", source="health"),
)

TOKEN_REVOKED = Incident(
    "token-revoked",
    "The exporter's token is revoked: the servers are live, but their state is unknown.",
    (
        Step(
            "The token is revoked. Health requires no token, and the client still has the token in its cache.",
            (Action("revoke-token"),),
            (
                Expectation(
                    SERVERS, live="ok", ready="poll_error", quorum="unknown", samples=_UNAUTHORIZED, within_polls=9
                ),
                client_ready(Role.CLIENT, samples=(equals("nomad_agent_up"),)),
            ),
        ),
        Step(
            "The token is restored; the next poll succeeds.",
            (Action("restore-token"),),
            (healthy(SERVERS, samples=(equals("nomad_agent_up"),)), client_ready(Role.CLIENT)),
        ),
    ),
    Requirements(acl=True, versions=SUPPORTED_VERSIONS[:3]),
)

CERTIFICATE_EXPIRED = Incident(
    "certificate-expired",
    "A follower's certificate expires: the follower is live, but no request succeeds.",
    (
        Step(
            "The follower serves an expired certificate; the TLS error still shows that its process is live.",
            (Action("expire-certificate", (Role.FOLLOWER,)),),
            (
                Expectation(
                    (Role.FOLLOWER,),
                    live="ok",
                    ready="poll_error",
                    quorum="ok",
                    samples=(
                        equals("nomad_agent_up", 0),
                        poll_failing("health", "certificate_expired"),
                        poll_failing("self", "certificate_expired"),
                    ),
                    within_polls=9,
                ),
                would_lose_quorum(*_OTHERS),
            ),
        ),
        Step(
            "The certificate is renewed.",
            (Action("renew-certificate", (Role.FOLLOWER,)),),
            (healthy(SERVERS, samples=(equals("nomad_agent_up"),)),),
        ),
    ),
    Requirements(tls=True),
)

GOSSIP_ENCRYPTION_OFF = Incident(
    "gossip-encryption-off",
    "A follower is restarted without the gossip key: Raft still reaches it, gossip does not.",
    (
        Step(
            "The follower still follows the leader in Raft, but knows no other member to forward requests to.",
            (Action("disable-gossip-encryption", (Role.FOLLOWER,)),),
            (
                Expectation(
                    (Role.FOLLOWER,),
                    live="ok",
                    ready="leader_unreachable",
                    quorum="ok",
                    samples=(equals("nomad_agent_serf_encrypted", 0), equals("nomad_agent_members", status="alive")),
                    after=ELECTION,
                    transient=True,
                ),
                would_lose_quorum(*_OTHERS, samples=(equals("nomad_agent_serf_encrypted"),)),
            ),
        ),
        Step(
            "Gossip marks the follower as failed, autopilot removes it, and then it has no leader.",
            (),
            (
                would_lose_quorum(*_OTHERS, after=CLEANUP, samples=(voters(2), *members_failed(Role.FOLLOWER))),
                Expectation((Role.FOLLOWER,), live="ok", ready="no_leader", after=CLEANUP + ELECTION),
            ),
        ),
        Step(
            "The follower is restarted with the key.",
            (Action("restart", (Role.FOLLOWER,)),),
            (
                not_yet_voter(Role.FOLLOWER),
                healthy(SERVERS, PROMOTION, (voters(3), equals("nomad_agent_serf_encrypted"))),
                client_ready(Role.CLIENT),
            ),
        ),
    ),
)
