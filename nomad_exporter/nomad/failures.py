"""Failed polls, and the closed list of reasons why a poll fails. ``nomad/remedies.py`` explains each reason."""

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
    def is_responsive(self) -> bool:
        """Whether the agent responded, at least in part."""
        return self.has_partial_response or self.reason in RESPONSIVE

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
