"""What lets agents and the exporter in runs out: tokens, certificates, keys."""

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
    "The exporter's token is revoked: the servers live, but whether they work is not known any more.",
    (
        Step(
            "No server knows the token any more. Health needs none, and a client goes on with what it had judged.",
            (Action("revoke"),),
            (
                Expectation(
                    SERVERS, live="ok", ready="poll_error", quorum="unknown", samples=_UNAUTHORIZED, within_polls=9
                ),
                client_ready(Role.CLIENT, samples=(equals("nomad_agent_up"),)),
            ),
        ),
        Step(
            "The token is good again, and with the next poll all is known.",
            (Action("restore"),),
            (healthy(SERVERS, samples=(equals("nomad_agent_up"),)), client_ready(Role.CLIENT)),
        ),
    ),
    Requirements(acl=True, versions=SUPPORTED_VERSIONS[:3]),
)

CERTIFICATE_EXPIRED = Incident(
    "certificate-expired",
    "A follower's certificate expires: it lives, but nobody can ask it anything.",
    (
        Step(
            "Every connection to the follower ends with an error of TLS, which is a sign of life.",
            (Action("expire-certificate", (Role.FOLLOWER,)),),
            (
                Expectation(
                    (Role.FOLLOWER,),
                    live="ok",
                    ready="poll_error",
                    quorum="ok",
                    samples=(equals("nomad_agent_up", 0), poll_failing("health", "tls"), poll_failing("self", "tls")),
                    within_polls=9,
                ),
                would_lose_quorum(*_OTHERS),
            ),
        ),
        Step(
            "It is given a good certificate again.",
            (Action("renew-certificate", (Role.FOLLOWER,)),),
            (healthy(SERVERS, samples=(equals("nomad_agent_up"),)),),
        ),
    ),
    Requirements(tls=True),
)

GOSSIP_ENCRYPTION_OFF = Incident(
    "gossip-encryption-off",
    "A follower is restarted without the key of gossip: raft still reaches it, but gossip does not.",
    (
        Step(
            "It knows nobody, and finds no leader to take a question to, though it follows one.",
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
            "Gossip tells the others that it failed; autopilot takes its vote, and then it has no leader either.",
            (),
            (
                would_lose_quorum(*_OTHERS, after=CLEANUP, samples=(voters(2), *members_failed(Role.FOLLOWER))),
                Expectation((Role.FOLLOWER,), live="ok", ready="no_leader", after=CLEANUP + ELECTION),
            ),
        ),
        Step(
            "It is restarted with the key.",
            (Action("restart", (Role.FOLLOWER,)),),
            (
                not_yet_voter(Role.FOLLOWER),
                healthy(SERVERS, PROMOTION, (voters(3), equals("nomad_agent_serf_encrypted"))),
                client_ready(Role.CLIENT),
            ),
        ),
    ),
)
