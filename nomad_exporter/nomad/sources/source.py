"""What a source is: an endpoint of the agent that is polled, and how its replies become answers or failures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from nomad_exporter.clock import Clock
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.lenient import ERRORS, TooMany
from nomad_exporter.nomad.models import Role

KIB, MIB = 1024, 1024 * 1024


def format_size(size: int) -> str:
    """Return a number of bytes, such as ``64 KiB`` or ``1 MiB``."""
    return f"{size // MIB} MiB" if size % MIB == 0 else f"{size // KIB} KiB"


class Answer(Protocol):
    """A decoded reply.

    ``invalid_fields`` names the fields that could not be decoded. ``omitted`` is the number of values that were left
    out because of a limit, by what they are.
    """

    @property
    def invalid_fields(self) -> tuple[str, ...]: ...

    @property
    def omitted(self) -> Mapping[str, int]: ...


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response: its status and its complete body."""

    status: int
    body: bytes


GATEWAY_STATUSES = (502, 503, 504)
"""Statuses with which a gateway reports that the agent behind it does not respond."""

# No version of Nomad returns these statuses from an endpoint that is polled, but a gateway may change the status of a
# response of Nomad.
NOMAD_PHRASES = (
    b'"ok"',
    b"acl token",
    b"rpc error",
    b"leader",
    b"no path to region",
    b"no servers",
    b"no known servers",
    b"not ready to serve",
    b"permission denied",
    b"invalid method",
    b"too many concurrent connections",
)
"""What Nomad's health checks and plain-text errors contain, in lower case."""

Send = Callable[[str, float, int], Reply | Failure]
"""Sends ``GET path`` with a timeout in seconds and a maximum size of the response body in bytes."""

Get = Callable[[str, float], A | Failure]
"""Sends ``GET path`` with a timeout in seconds, and decodes the reply."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source(Generic[A]):
    """An endpoint of the agent that is polled, and everything that is specific to it.

    ``name`` is the label ``source``. ``decode`` raises ValueError or a msgspec error for a body that is not an answer,
    and TooMany for an answer that is too long. ``statuses`` are the HTTP statuses of an answer. ``body_limit`` is the
    maximum size of a response body in bytes. ``permission`` is the ACL capability that the token needs. ``verdicts``
    are the names of the verdicts that depend on the answers.

    Only agents with ``role`` are polled; None means all agents. With ``needs_leader``, an agent is polled only while it
    reaches its leader. An ``optional`` source is polled only if a setting enables it. ``requests`` sends the requests
    of one poll within a timeout in seconds; None means a single GET.
    """

    name: str
    path: str
    decode: Callable[[Reply], A]
    statuses: tuple[int, ...] = (200,)
    body_limit: int = MIB
    permission: str = ""
    verdicts: tuple[str, ...] = ()
    role: Role | None = None
    needs_leader: bool = False
    optional: bool = False
    requests: Callable[[Get[A], Clock, float], A | Failure] | None = None

    def __str__(self) -> str:
        return self.name

    def applies_to(self, roles: Collection[Role]) -> bool:
        """Return whether agents with these roles are polled."""
        return self.role is None or self.role in roles

    def poll(self, send: Send, clock: Clock, seconds: float) -> A | Failure:
        """Poll the source once, with a timeout of ``seconds`` for all its requests together."""
        if self.requests:
            return self.requests(partial(self._get, send), clock, seconds)
        return self._get(send, self.path, seconds)

    def _get(self, send: Send, path: str, seconds: float) -> A | Failure:
        reply = send(path, seconds, self.body_limit)
        return reply if isinstance(reply, Failure) else self.read(reply)

    def read(self, reply: Reply) -> A | Failure:
        """Return the answer in a reply, or the failure that its status or its body means."""
        if reply.status not in self.statuses:
            return _classify_status(reply)
        try:
            return self.decode(reply)
        except TooMany as error:
            return Failure(FailureReason.TOO_LARGE, str(error))
        except ERRORS as error:
            if reply.status != 200:
                return _classify_status(reply)
            return Failure(FailureReason.DECODE, _decode_detail(error))


def _decode_detail(error: Exception) -> str:
    # Messages of msgspec can quote the body. Those of the decoders are plain ValueErrors and never do.
    return str(error) if type(error) is ValueError else "response is not the expected JSON"


def _classify_status(reply: Reply) -> Failure:
    """Return the failure for an HTTP status; the body is only searched for fixed phrases of Nomad."""
    text = reply.body[:4096].lower()
    if reply.status in (401, 403) or (reply.status == 500 and b"acl token" in text):
        return Failure(FailureReason.UNAUTHORIZED, f"HTTP {reply.status}: token rejected, or without permission")
    if reply.status == 400 and b"http request to an https server" in text:
        return Failure(FailureReason.TLS, "agent speaks HTTPS, but its address starts with http://")
    if 300 <= reply.status < 400:
        return Failure(FailureReason.REDIRECT, f"HTTP {reply.status}: redirects are not followed")
    if reply.status in GATEWAY_STATUSES and not any(phrase in text for phrase in NOMAD_PHRASES):
        return Failure(FailureReason.GATEWAY, f"HTTP {reply.status}, not from Nomad", status=reply.status)
    return Failure(FailureReason.STATUS, f"HTTP {reply.status}", status=reply.status)
