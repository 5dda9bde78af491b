"""What lets agents and the exporter in runs out: tokens, certificates, keys."""

from __future__ import annotations

from nomad_exporter.demo.incidents.sights import (
    CLEANED,
    ELECTED,
    PROMOTED,
    absent,
    failing,
    fell,
    is_,
    returning,
    serves,
    voters,
    well,
    works,
)
from nomad_exporter.demo.incidents.story import SERVERS, STORIED, Deed, Expected, Incident, Needs, Role, Scene

_OTHERS = (Role.LEADER, Role.OTHER_FOLLOWER)

_REFUSED = (
    is_("nomad_agent_up", 0),
    failing("self", "unauthorized"),
    failing("members", "unauthorized"),
    absent("nomad_exporter_poll_failing", source="health"),
)

TOKEN_REVOKED = Incident(
    "token-revoked",
    "The exporter's token is revoked: the servers live, but whether they work is not known any more.",
    (
        Scene(
            "No server knows the token any more. Health needs none, and a client goes on with what it had judged.",
            (Deed("revoke"),),
            (
                Expected(SERVERS, live="ok", ready="not_readable", quorum="unknown", samples=_REFUSED, within=9),
                serves(Role.CLIENT, samples=(is_("nomad_agent_up"),)),
            ),
        ),
        Scene(
            "The token is good again, and with the next poll all is known.",
            (Deed("restore"),),
            (well(SERVERS, samples=(is_("nomad_agent_up"),)), serves(Role.CLIENT)),
        ),
    ),
    Needs(acl=True, versions=STORIED[:3]),
)

CERTIFICATE_EXPIRED = Incident(
    "certificate-expired",
    "A follower's certificate expires: it lives, but nobody can ask it anything.",
    (
        Scene(
            "Every connection to the follower ends with an error of TLS, which is a sign of life.",
            (Deed("expire", (Role.FOLLOWER,)),),
            (
                Expected(
                    (Role.FOLLOWER,),
                    live="ok",
                    ready="not_readable",
                    quorum="ok",
                    samples=(is_("nomad_agent_up", 0), failing("health", "tls"), failing("self", "tls")),
                    within=9,
                ),
                works(*_OTHERS),
            ),
        ),
        Scene(
            "It is given a good certificate again.",
            (Deed("renew", (Role.FOLLOWER,)),),
            (well(SERVERS, samples=(is_("nomad_agent_up"),)),),
        ),
    ),
    Needs(tls=True),
)

GOSSIP_ENCRYPTION_OFF = Incident(
    "gossip-encryption-off",
    "A follower is restarted without the key of gossip: raft still reaches it, but gossip does not.",
    (
        Scene(
            "It knows nobody, and finds no leader to take a question to, though it follows one.",
            (Deed("decrypt", (Role.FOLLOWER,)),),
            (
                Expected(
                    (Role.FOLLOWER,),
                    live="ok",
                    ready="leader_unreachable",
                    quorum="ok",
                    samples=(is_("nomad_agent_serf_encrypted", 0), is_("nomad_agent_members", status="alive")),
                    after=ELECTED,
                    passing=True,
                ),
                works(*_OTHERS, samples=(is_("nomad_agent_serf_encrypted"),)),
            ),
        ),
        Scene(
            "Gossip tells the others that it failed; autopilot takes its vote, and then it has no leader either.",
            (),
            (
                works(*_OTHERS, after=CLEANED, samples=(voters(2), *fell(Role.FOLLOWER))),
                Expected((Role.FOLLOWER,), live="ok", ready="no_leader", after=CLEANED + ELECTED),
            ),
        ),
        Scene(
            "It is restarted with the key.",
            (Deed("restart", (Role.FOLLOWER,)),),
            (
                returning(Role.FOLLOWER),
                well(SERVERS, PROMOTED, (voters(3), is_("nomad_agent_serf_encrypted"))),
                serves(Role.CLIENT),
            ),
        ),
    ),
)
