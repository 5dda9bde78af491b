"""Why an attempt failed: one closed list of reasons, what each means and what to do about it.

The troubleshooting table of the README is made from ``FAILURE_REASONS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureReason(StrEnum):
    """The ``reason`` label of ``nomad_exporter_poll_failing``."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TIMEOUT = "timeout"
    TLS = "tls"
    CREDENTIALS = "credentials"
    UNAUTHORIZED = "unauthorized"
    REDIRECT = "redirect"
    STATUS = "status"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
    DECODE = "decode"
    INTERNAL = "internal"


UNRESPONSIVE = frozenset({FailureReason.REFUSED, FailureReason.RESET, FailureReason.TIMEOUT})
"""How a dead or a frozen agent fails."""

RESPONSIVE = frozenset(
    {
        FailureReason.TLS,
        FailureReason.UNAUTHORIZED,
        FailureReason.REDIRECT,
        FailureReason.STATUS,
        FailureReason.PROTOCOL,
        FailureReason.TOO_LARGE,
        FailureReason.DECODE,
    }
)
"""How an attempt fails that somebody has answered. What is in neither set says nothing of the agent."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that gave no answer. ``detail`` is one line that holds neither a token nor anything of a body.

    ``has_partial_response`` says whether the agent had answered a part of what was asked before; ``status`` is that of HTTP where
    the agent answered with one that is no answer, else 0.
    """

    reason: FailureReason
    detail: str
    has_partial_response: bool = False
    status: int = 0

    @property
    def is_unresponsive(self) -> bool:
        """Whether the agent was asked and gave no sign of life."""
        return self.reason in UNRESPONSIVE and not self.has_partial_response

    @property
    def is_responsive(self) -> bool:
        """Whether it gave one."""
        return self.has_partial_response or self.reason in RESPONSIVE

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Remedy:
    """``meaning`` completes "The agent …"; ``remedy`` says what to do."""

    meaning: str
    remedy: str


FAILURE_REASONS: dict[FailureReason, Remedy] = {
    FailureReason.DNS: Remedy(
        "has a host name that could not be resolved",
        "Check the name in the address, and the resolver of the machine or pod that runs the exporter.",
    ),
    FailureReason.REFUSED: Remedy(
        "does not listen at its address (connection refused, or no such socket)",
        "Start the agent, or correct the address; a starting agent opens its HTTP port only after its first set-up.",
    ),
    FailureReason.UNREACHABLE: Remedy(
        "cannot be reached: no route to its network or host",
        "Check routes, firewalls and network policies between the exporter and the agent.",
    ),
    FailureReason.RESET: Remedy(
        "closed the connection before its answer was whole",
        "Look for a restart of the agent, a proxy between, or Nomad's limit `http_max_conns_per_client`.",
    ),
    FailureReason.TIMEOUT: Remedy(
        "did not answer within `--poll.timeout`",
        "Look at the agent's load and, for a client, at its path to the servers: with ACLs on, a client that is cut "
        "off cannot judge a token and keeps `/v1/agent/self` waiting.",
    ),
    FailureReason.TLS: Remedy(
        "and the exporter could not agree on TLS: a certificate was refused, or one side speaks plain HTTP",
        "Compare `http://` with `https://`, `--nomad.ca-file` with the CA that signed the agent's certificate, "
        "`--nomad.server-name` with a name in it (`server.<region>.nomad`, `client.<region>.nomad`), and give "
        "`--nomad.cert-file` and `--nomad.key-file` where the agent sets `verify_https_client`.",
    ),
    FailureReason.CREDENTIALS: Remedy(
        "was not asked, because a token, CA, certificate or key file could not be read",
        "Make the named file readable for the exporter; it is tried again at the next poll.",
    ),
    FailureReason.UNAUTHORIZED: Remedy(
        "rejected the token",
        "`self` needs `agent:read`, `members` needs `node:read`, `autopilot` needs `operator:read`; see [Access "
        "control](#access-control). An expired or deleted token looks the same.",
    ),
    FailureReason.REDIRECT: Remedy(
        "answered with a redirect, which is never followed",
        "Give the agent's own address, not that of a proxy or of another service.",
    ),
    FailureReason.STATUS: Remedy(
        "answered with an unexpected HTTP status",
        "Read the agent's log. 404: an agent older than the endpoint (`health` exists since Nomad 0.7) or not a Nomad "
        "agent. 429: too many connections from this address. 500 for `members`: a client that reaches no server.",
    ),
    FailureReason.PROTOCOL: Remedy(
        "answered with something that is not the HTTP that Nomad speaks",
        "Something else listens at this address, or a proxy alters the answers.",
    ),
    FailureReason.TOO_LARGE: Remedy(
        "sent more than the exporter accepts of one answer",
        "Check that a Nomad agent listens at this address.",
    ),
    FailureReason.DECODE: Remedy(
        "sent an answer that is not what Nomad answers there",
        "Check that a Nomad agent listens at this address; if one does, please report its version.",
    ),
    FailureReason.INTERNAL: Remedy(
        "was not understood because of a fault in the exporter",
        "Please report the line of the log that names the error.",
    ),
}
