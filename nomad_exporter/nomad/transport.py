"""HTTP transport to one agent: a GET returns a reply or a failure within its timeout, and never raises.

Only this module, ``connections`` and ``errors`` import requests and urllib3.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from nomad_exporter import __version__
from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Agent, Secret
from nomad_exporter.nomad.connections import AgentPool, Network, RequestLimits, make_pool, received_bytes
from nomad_exporter.nomad.errors import classify, is_certificate_refused
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import KIB, MIB, Reply, format_size
from nomad_exporter.nomad.tls import Certificates

_HEADERS = {
    "User-Agent": f"nomad-exporter/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}


FRAMING_BYTES = 16 * KIB
"""How many bytes more than the bytes of the body the framing of its chunks may have; Nomad's chunks have 2 KiB."""


class _RejectedResponse(Exception):
    """A response that the exporter does not accept, with the failure for it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class _Adapter(HTTPAdapter):
    """An adapter for requests over the pool of one agent, without proxies."""

    def __init__(self, agent_pool: AgentPool, trust: tls.Trust | None) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self.pool, self.trust = agent_pool, trust

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> AgentPool:
        return self.pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Do nothing: the context of the pool verifies the certificate."""


class Transport:
    """The HTTP transport to one agent, safe for use by two threads at the same time.

    Changed credential files are read again. If a changed file is missing, incomplete or invalid, the previous value
    stays in use.
    """

    def __init__(self, agent: Agent, contexts: tls.Contexts, network: Network) -> None:
        self._agent, self._contexts, self._network = agent, contexts, network
        self._token: str | None = None
        self._lock = threading.Lock()
        self._adapter: _Adapter | None = None
        self._last_failure: Failure | None = None
        self._closed = False
        address = replace(agent.address, host=agent.address.http_host)
        self._base_url = str(address) if address.scheme != "unix" else "http://127.0.0.1"

    def get(self, path: str, seconds: float, body_limit: int = MIB) -> Reply | Failure:
        """Send ``GET path`` and return the complete reply, or the failure, within ``seconds``.

        A response body of more than ``body_limit`` bytes is a failure.
        """
        deadline, is_refused = time.monotonic() + seconds, False
        outcome: Reply | Failure
        try:
            outcome = self._get(path, deadline, body_limit)
        except _RejectedResponse as rejected:
            outcome = rejected.failure
        except Exception as error:  # noqa: BLE001  # The contract of this module: it never raises.
            outcome, is_refused = classify(error, seconds), is_certificate_refused(error)
        if self._is_new(outcome) and is_refused and self._adapter:
            self._adapter.pool.read_refused_certificate(deadline)
        return outcome

    def _is_new(self, outcome: Reply | Failure) -> bool:
        """Record the outcome of a request; return whether it is a failure other than the one of the last request."""
        failure = outcome if isinstance(outcome, Failure) else None
        with self._lock:
            previous, self._last_failure = self._last_failure, failure
        return failure != previous

    @property
    def certificates(self) -> Certificates:
        """The expiry times of the certificates of the newest connection."""
        if self._adapter is None or self._adapter.trust is None:
            return Certificates()
        return Certificates(self._adapter.pool.peer_not_after, self._adapter.trust.own_not_after)

    def close(self) -> None:
        """Close all connections, including those that a thread is reading from."""
        with self._lock:
            self._closed = True
            if self._adapter:
                self._adapter.pool.abort()
                self._adapter.pool.close()

    def _get(self, path: str, deadline: float, body_limit: int) -> Reply:
        """Send one request, and a second one if the agent rejects a token that was replaced meanwhile."""
        token = self._current_token()
        reply = self._send(path, token, deadline, body_limit)
        if reply.status in _REJECTIONS and (new_token := self._current_token()) != token:
            return self._send(path, new_token, deadline, body_limit)
        return reply

    def _send(self, path: str, token: str | None, deadline: float, body_limit: int) -> Reply:
        headers = {**_HEADERS, **_auth_headers(token, self._agent.credentials.basic_auth)}
        request = requests.Request("GET", self._base_url + path, headers=headers).prepare()
        limits = RequestLimits(max(deadline - time.monotonic(), 0.001), body_limit)
        raw: urllib3.HTTPResponse = self._exchange(request, limits).raw
        try:
            return Reply(raw.status, _read_body(raw, body_limit))
        except BaseException:
            raw.close()
            raise

    def _exchange(self, request: requests.PreparedRequest, limits: RequestLimits) -> requests.Response:
        """Send the request; retry once if another thread replaced the connection pool before it was sent."""
        adapter = self._current_adapter()
        try:
            return adapter.send(request, stream=True, timeout=limits)  # type: ignore[arg-type]  # urllib3 accepts a Timeout
        except requests.ConnectionError as error:
            if adapter is self._adapter or not isinstance(error.args[0], urllib3.exceptions.ClosedPoolError):
                raise
        return self._current_adapter().send(request, stream=True, timeout=limits)  # type: ignore[arg-type]  # likewise

    def _current_adapter(self) -> _Adapter:
        """Return the adapter for the current TLS files; changed files lead to a new adapter with new connections."""
        agent = self._agent
        trust = self._trust() if agent.address.scheme == "https" else None
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError
            previous = self._adapter
            if previous and previous.trust is trust:
                return previous
            context = trust.context if trust else None
            self._adapter = _Adapter(make_pool(agent.address, agent.tls, context, self._network), trust)
            self._last_failure = None
            if previous:
                previous.pool.close()
            return self._adapter

    # A file on a dead mount blocks its reader.

    def _trust(self) -> tls.Trust:
        with self._network.waiting():
            return self._contexts.get(self._agent.tls)

    def _current_token(self) -> str | None:
        credentials = self._agent.credentials
        if credentials.token_file is None:
            return credentials.token.reveal() if credentials.token else None
        try:
            with self._network.waiting():
                self._token = tls.read_token(credentials.token_file)
        except tls.CredentialError:
            if self._token is None:
                raise
        return self._token


_REJECTIONS = (401, 403, 500)
"""Statuses with which Nomad rejects a token; 500 is returned for a malformed or expired one."""


def _auth_headers(token: str | None, basic_auth: Secret | None) -> Mapping[str, str]:
    """Return the headers for the token and the basic authentication."""
    headers = {}
    if token:
        headers["X-Nomad-Token"] = token
    if basic_auth:
        user_password = basic_auth.reveal().encode(errors="surrogateescape")
        headers["Authorization"] = "Basic " + b64encode(user_password).decode()
    return headers


def _read_body(raw: urllib3.HTTPResponse, limit: int) -> bytes:
    if raw.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _RejectedResponse(Failure(FailureReason.PROTOCOL, "response has an unsupported Content-Encoding"))
    connection = raw.connection  # The response forgets its connection once it has been read.
    body = bytearray()
    while chunk := raw.read(4096):
        body += chunk
        if len(body) > limit:
            raise _RejectedResponse(Failure(FailureReason.TOO_LARGE, f"response is larger than {format_size(limit)}"))
        if received_bytes(connection) > 2 * len(body) + FRAMING_BYTES:
            raise _RejectedResponse(Failure(FailureReason.PROTOCOL, "response has too many small chunks"))
    return bytes(body)
