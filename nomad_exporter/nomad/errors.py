"""Classification of exceptions: a table from exception type to the reason and the detail of a failure."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3

from nomad_exporter import logs
from nomad_exporter.nomad import durations
from nomad_exporter.nomad.connections import ConnectTimeout, TooManyBytes, connect_timeout
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.tls import EXHAUSTED, CredentialError

_NO_THREAD = "can't start new thread"

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL}

_log = logs.get_logger(__name__)

_CLOSED = "connection closed before the response was complete"
_NOT_HTTP = "response is not valid HTTP"
_INVALID_HOST = "invalid host name"

FAILURES: tuple[tuple[type[BaseException], FailureReason, str], ...] = (
    (TooManyBytes, FailureReason.TOO_LARGE, "{error}"),
    (CredentialError, FailureReason.CREDENTIALS, "{error}"),
    (socket.gaierror, FailureReason.DNS, "cannot resolve host name"),
    (UnicodeError, FailureReason.DNS, _INVALID_HOST),
    (ssl.SSLCertVerificationError, FailureReason.TLS, "cannot verify agent certificate: {error.verify_message}"),
    (ssl.SSLEOFError, FailureReason.RESET, _CLOSED),
    (ssl.SSLZeroReturnError, FailureReason.RESET, _CLOSED),
    (ssl.SSLError, FailureReason.TLS, "{tls_detail}"),
    (ConnectTimeout, FailureReason.TIMEOUT, "no connection within {connect_timeout}"),
    (TimeoutError, FailureReason.TIMEOUT, "no complete response within {timeout}"),
    (ConnectionRefusedError, FailureReason.REFUSED, "connection refused"),
    (FileNotFoundError, FailureReason.REFUSED, "no such socket"),
    (PermissionError, FailureReason.CREDENTIALS, "permission denied (socket permissions or firewall)"),
    (ConnectionError, FailureReason.RESET, _CLOSED),
    (http.client.IncompleteRead, FailureReason.RESET, _CLOSED),
    (http.client.HTTPException, FailureReason.PROTOCOL, _NOT_HTTP),
    (requests.exceptions.InvalidURL, FailureReason.DNS, _INVALID_HOST),
    (urllib3.exceptions.LocationParseError, FailureReason.DNS, _INVALID_HOST),
    (ValueError, FailureReason.PROTOCOL, _NOT_HTTP),
    (urllib3.exceptions.HTTPError, FailureReason.PROTOCOL, _NOT_HTTP),
    (requests.RequestException, FailureReason.PROTOCOL, _NOT_HTTP),
)
"""Rows of exception type, reason and detail.

Each exception of the chain, from the innermost to the outermost, is looked up in the rows from the first to the last.
"""


def classify(error: BaseException, seconds: float) -> Failure:
    """Return the failure for an exception of a request with a timeout of ``seconds``, by the table ``FAILURES``.

    The detail never contains a secret or a text from the agent.
    """
    for link in _chain(error):
        if _is_truncated_chunk(link):
            return Failure(FailureReason.RESET, _CLOSED)
        if getattr(link, "errno", None) in EXHAUSTED or str(link) == _NO_THREAD:
            return Failure(FailureReason.INTERNAL, f"the exporter lacks resources: {_cause(link)}")
        for kind, reason, detail in FAILURES:
            if isinstance(link, kind):
                text = _format_detail(detail, link, seconds)
                return Failure(FailureReason.CERTIFICATE_EXPIRED if _is_expiry(link) else reason, text)
        if isinstance(link, OSError):
            no_route = link.errno in _NO_ROUTE
            detail = "no route to host" if no_route else f"connection failed: {link.strerror or link}"
            return Failure(FailureReason.UNREACHABLE, detail)
    _log.debug("unclassified exception", exc_info=error)
    return Failure(FailureReason.INTERNAL, f"internal error: {type(error).__name__}")


def _cause(error: BaseException) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def is_certificate_refused(error: BaseException) -> bool:
    """Return whether the request failed because the agent's certificate could not be verified."""
    return any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error))


def _is_expiry(error: BaseException) -> bool:
    """Return whether an expired certificate caused the error: the agent's, that of a CA, or the exporter's."""
    return not _EXPIRED.isdisjoint({getattr(error, "verify_code", None), getattr(error, "reason", None)})


_EXPIRED = frozenset({10, "SSLV3_ALERT_CERTIFICATE_EXPIRED"})
"""OpenSSL's result of a failed verification (X509_V_ERR_CERT_HAS_EXPIRED), and the reason code of the agent's alert."""


def _is_truncated_chunk(error: BaseException) -> bool:
    """Return whether the connection ended before the size of a chunk, which http.client parses as the size b''."""
    return isinstance(error, ValueError) and str(error).endswith(": b''")


def _format_detail(detail: str, error: BaseException, seconds: float) -> str:
    tls_detail = _TLS_DETAILS.get(str(getattr(error, "reason", None)), "TLS handshake failed")
    timeout, to_connect = durations.text(seconds), durations.text(connect_timeout(seconds))
    return detail.format(error=error, tls_detail=tls_detail, timeout=timeout, connect_timeout=to_connect)


_TLS_DETAILS = {
    "WRONG_VERSION_NUMBER": "agent speaks plain HTTP, but its address starts with https://",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "agent requires a client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "agent rejected the client certificate, or requires one",
    "TLSV1_ALERT_UNKNOWN_CA": "agent does not trust the CA of the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "client certificate has expired",
    "TLSV1_ALERT_PROTOCOL_VERSION": "agent does not support TLS 1.2 or later",
    "UNSUPPORTED_PROTOCOL": "agent does not support TLS 1.2 or later",
}
"""Details by the reason code of OpenSSL."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Return the exception and its causes, the innermost first."""
    # requests wraps exceptions of urllib3, which wrap those of the system: as argument, reason, context or cause.
    links: list[BaseException] = []
    pending: list[object] = [error]
    while pending:
        link = pending.pop()
        if isinstance(link, BaseException) and link not in links:
            links.append(link)
            context = None if link.__suppress_context__ else link.__context__
            pending += [*link.args, getattr(link, "reason", None), context, link.__cause__]
    return reversed(links)
