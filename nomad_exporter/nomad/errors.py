"""What an exception of the wire means: the table from its type to the reason of a failure, and the words for it."""

from __future__ import annotations

import errno
import http.client
import logging
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3

from nomad_exporter.nomad import durations
from nomad_exporter.nomad.connections import CONNECT_SECONDS, ConnectTimeout
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.tls import CredentialError

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL}

_log = logging.getLogger(__name__)

_CUT_OFF = "the agent closed the connection before its answer was whole"
_NOT_HTTP = "the answer is not HTTP as Nomad speaks it"

FAILURES: tuple[tuple[type[BaseException], FailureReason, str], ...] = (
    (CredentialError, FailureReason.CREDENTIALS, "{error}"),
    (socket.gaierror, FailureReason.DNS, "the host name could not be resolved"),
    (UnicodeError, FailureReason.DNS, "the host name is not one"),
    (ssl.SSLCertVerificationError, FailureReason.TLS, "the agent's certificate was refused: {error.verify_message}"),
    (ssl.SSLEOFError, FailureReason.RESET, _CUT_OFF),
    (ssl.SSLZeroReturnError, FailureReason.RESET, _CUT_OFF),
    (ssl.SSLError, FailureReason.TLS, "{tls_text}"),
    (ConnectTimeout, FailureReason.TIMEOUT, "no connection within {connect}"),
    (TimeoutError, FailureReason.TIMEOUT, "no whole answer within {timeout}"),
    (ConnectionRefusedError, FailureReason.REFUSED, "connection refused"),
    (FileNotFoundError, FailureReason.REFUSED, "no such socket"),
    (PermissionError, FailureReason.CREDENTIALS, "the system forbids it: the permissions of the socket, or a firewall"),
    (ConnectionError, FailureReason.RESET, _CUT_OFF),
    (http.client.IncompleteRead, FailureReason.RESET, _CUT_OFF),
    (http.client.HTTPException, FailureReason.PROTOCOL, _NOT_HTTP),
    (requests.exceptions.InvalidURL, FailureReason.DNS, "the host name is not one"),
    (urllib3.exceptions.LocationParseError, FailureReason.DNS, "the host name is not one"),
    (ValueError, FailureReason.PROTOCOL, _NOT_HTTP),
    (urllib3.exceptions.HTTPError, FailureReason.PROTOCOL, _NOT_HTTP),
    (requests.RequestException, FailureReason.PROTOCOL, _NOT_HTTP),
)
"""What an exception means; the first row that any link of its chain fits decides, link by link from the innermost."""


def classify(error: BaseException, seconds: float) -> Failure:
    """The failure that an exception means, by the table ``FAILURES``; no text of ours quotes the agent or a secret."""
    for link in _chain(error):
        if _is_end(link):
            return Failure(FailureReason.RESET, _CUT_OFF)
        for kind, reason, detail in FAILURES:
            if isinstance(link, kind):
                return Failure(reason, _detail(detail, link, seconds))
        if isinstance(link, OSError):
            why = "no route to the agent" if link.errno in _NO_ROUTE else f"no connection: {link.strerror or link}"
            return Failure(FailureReason.UNREACHABLE, why)
    _log.debug("an error without a reason", exc_info=error)
    return Failure(FailureReason.INTERNAL, f"an error of the exporter, {type(error).__name__}")


def _is_end(error: BaseException) -> bool:
    """Whether the connection ended where a chunk should begin: http.client reads that as a chunk of the size b''."""
    return isinstance(error, ValueError) and str(error).endswith(": b''")


def _detail(detail: str, error: BaseException, seconds: float) -> str:
    text = _TLS_TEXTS.get(str(getattr(error, "reason", None)), "the TLS handshake failed")
    limits = {"connect": durations.text(min(CONNECT_SECONDS, seconds)), "timeout": durations.text(seconds)}
    return detail.format(error=error, tls_text=text, **limits)


_TLS_TEXTS = {
    "WRONG_VERSION_NUMBER": "the agent speaks plain HTTP, its address says https://",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the agent wants a client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the agent refused our client certificate, or wants one",
    "TLSV1_ALERT_UNKNOWN_CA": "the agent does not know the CA of our client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our client certificate has expired",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the agent has no TLS 1.2 or later",
    "UNSUPPORTED_PROTOCOL": "the agent has no TLS 1.2 or later",
}
"""OpenSSL's words for what went wrong, in ours."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that caused it, the innermost first: requests wraps urllib3's, which wrap the system's."""
    links: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and link not in links:
            links.append(link)
            context = None if link.__suppress_context__ else link.__context__
            waiting += [*link.args, getattr(link, "reason", None), context, link.__cause__]
    return reversed(links)
