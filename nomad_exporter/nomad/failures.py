"""Failed polls, and the closed list of reasons why a poll fails, with the meaning and the remedy of each.

The table in the documentation is generated from ``FAILURE_REASONS``.
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
    CERTIFICATE_EXPIRED = "certificate_expired"
    CREDENTIALS = "credentials"
    UNAUTHORIZED = "unauthorized"
    REDIRECT = "redirect"
    STATUS = "status"
    GATEWAY = "gateway"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
    DECODE = "decode"
    INTERNAL = "internal"


UNRESPONSIVE = frozenset({FailureReason.REFUSED, FailureReason.RESET, FailureReason.TIMEOUT, FailureReason.GATEWAY})
"""Reasons with which polls of a dead or frozen agent fail, directly or through a gateway."""

RESPONSIVE = frozenset(
    {
        FailureReason.TLS,
        FailureReason.CERTIFICATE_EXPIRED,
        FailureReason.UNAUTHORIZED,
        FailureReason.REDIRECT,
        FailureReason.STATUS,
        FailureReason.PROTOCOL,
        FailureReason.TOO_LARGE,
        FailureReason.DECODE,
    }
)
"""Reasons that imply a response. A reason in neither set proves nothing about the agent."""


CONNECTION_FAILED = (502, 503)
"""Statuses with which a gateway reports that it has no connection to the agent; 504 is a timeout."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed poll, or a failed request of a poll.

    ``detail`` is one line, without any secret and without a text from the response. ``has_partial_response`` is True if
    an earlier request of the same poll was answered. ``status`` is the HTTP status if that is the failure, else 0.
    """

    reason: FailureReason
    detail: str
    has_partial_response: bool = False
    status: int = 0

    @property
    def is_unresponsive(self) -> bool:
        """Whether the agent was polled and did not respond."""
        return self.reason in UNRESPONSIVE and not self.has_partial_response

    @property
    def is_silent(self) -> bool:
        """Whether a voter whose poll failed so counts as lost: no response, or no route to the agent."""
        # Unlike the live verdict, which restarts the agent, this errs on the side of the loss.
        return self.is_unresponsive or (self.reason is FailureReason.UNREACHABLE and not self.has_partial_response)

    @property
    def is_refused(self) -> bool:
        """Whether nothing accepted a connection at the agent's address, as far as a gateway in front of it shows."""
        has_no_connection = self.reason is FailureReason.GATEWAY and self.status in CONNECTION_FAILED
        return self.reason is FailureReason.REFUSED or has_no_connection

    @property
    def is_responsive(self) -> bool:
        """Whether the agent responded, at least in part."""
        return self.has_partial_response or self.reason in RESPONSIVE

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Remedy:
    """The meaning of a reason and the steps against it: first the check, then the fix. Plain text without Markdown."""

    meaning: str
    remedy: str


FAILURE_REASONS: dict[FailureReason, Remedy] = {
    FailureReason.DNS: Remedy(
        "The host name of the agent could not be resolved.",
        "Check that the host name resolves on the machine or in the pod of the exporter. "
        "Then correct the agent's address or the DNS configuration.",
    ),
    FailureReason.REFUSED: Remedy(
        "The agent refused the connection (nothing listens at its address, or its Unix socket does not exist).",
        "Check that the agent is running and that its address and port are right. "
        "Then start the agent or correct the address. "
        "An agent that is starting opens its HTTP port only after its first setup.",
    ),
    FailureReason.UNREACHABLE: Remedy(
        "The address of the agent cannot be reached (no route, or not a usable address).",
        "Check the address, routes, firewalls and network policies between the exporter and the agent. "
        "Then correct the address or open the path.",
    ),
    FailureReason.RESET: Remedy(
        "The connection was closed before the response was complete.",
        "Check the agent's log for a restart, the path for a proxy, and the number of connections to the agent. "
        "Then bypass the proxy, or raise Nomad's limit http_max_conns_per_client.",
    ),
    FailureReason.TIMEOUT: Remedy(
        "The agent sent no complete response within --poll.timeout.",
        "Check the agent's log and load. On a client, also check its connection to the servers: with ACLs on, a "
        "client that cannot reach a server cannot validate a token and does not answer /v1/agent/self. "
        "Then restore the connection, reduce the load, or raise --poll.timeout.",
    ),
    FailureReason.TLS: Remedy(
        "The exporter and the agent did not agree on TLS (certificate rejected, or plain HTTP on one side).",
        "Check that the agent's address starts with https:// only if the agent has TLS on. "
        "Then set --nomad.ca-file to the CA of the agent's certificate, and --nomad.server-name to a name in that "
        "certificate, such as server.global.nomad. "
        "If the agent sets verify_https_client, also set --nomad.cert-file and --nomad.key-file.",
    ),
    FailureReason.CERTIFICATE_EXPIRED: Remedy(
        "The certificate of the agent or of its CA has expired, or the exporter's client certificate.",
        "Check the expiry times in nomad_agent_certificate_expiry_timestamp_seconds and "
        "nomad_exporter_client_certificate_expiry_timestamp_seconds. "
        "Renew the expired certificate, then reload the agent; the exporter reads its own files again. "
        "If both times are in the future, renew the CA's certificate, or correct the clock of the agent or the "
        "exporter.",
    ),
    FailureReason.CREDENTIALS: Remedy(
        "The agent was not polled: a credential file cannot be used, or the connection is not permitted.",
        "Check that the file in the message exists, is complete, and is readable by the exporter. If no file is "
        "named, check the permissions of the agent's socket and the firewall. "
        "Then correct the file or the permissions; the next poll uses them.",
    ),
    FailureReason.UNAUTHORIZED: Remedy(
        "The agent rejected the token, or the token lacks a permission.",
        "Check that the token exists, has not expired, and has the right policy: agent:read for /v1/agent/self, "
        "node:read for /v1/agent/members, operator:read for /v1/operator/autopilot/health. "
        "Then extend the policy or replace the token; see docs/security.md.",
    ),
    FailureReason.REDIRECT: Remedy(
        "The agent returned a redirect, which the exporter never follows.",
        "Check whether a proxy or another service listens at the agent's address. "
        "Then set the address of the agent itself.",
    ),
    FailureReason.STATUS: Remedy(
        "The agent returned an unexpected HTTP status.",
        "Check the agent's log and the status. 404: not a Nomad agent, or one without the endpoint (/v1/agent/health "
        "exists since Nomad 0.7); correct the address or upgrade. 429: too many connections from the exporter's "
        "address; raise http_max_conns_per_client. 500 from /v1/agent/members: the client cannot reach a server; "
        "restore its connection.",
    ),
    FailureReason.GATEWAY: Remedy(
        "A gateway in front of the agent (a proxy or load balancer) returned 502, 503 or 504 without a response of "
        "Nomad. The agent is probably down, so this counts as no response.",
        "Check the agent's process and log, then the gateway's log and its route to the agent. "
        "Then start the agent or repair the gateway, or set the address of the agent itself.",
    ),
    FailureReason.PROTOCOL: Remedy(
        "The response is not valid HTTP, or is compressed although the exporter did not accept that.",
        "Check what listens at the agent's address: Nomad's HTTP API has port 4646 by default. "
        "Then correct the address, or bypass a proxy that alters responses.",
    ),
    FailureReason.TOO_LARGE: Remedy(
        "The response is larger than the exporter accepts, or lists more servers.",
        "Check that a Nomad agent listens at this address. "
        "Then correct the address or, for a Nomad agent, report the size of the response as a bug.",
    ),
    FailureReason.DECODE: Remedy(
        "The response is not what a Nomad agent returns from this endpoint.",
        "Check that a Nomad agent listens at this address. "
        "Then correct the address or, for a Nomad agent, report its version as a bug.",
    ),
    FailureReason.INTERNAL: Remedy(
        "The poll failed because of a bug in the exporter.",
        "Check the exporter's log at --log.level debug for the exception. Then report it as a bug.",
    ),
}


def failure_remedy(failure: Failure | None) -> str:
    """Return what to do about a failed poll; return an empty text for None."""
    return FAILURE_REASONS[failure.reason].remedy if failure else ""
