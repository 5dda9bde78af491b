"""Asks one agent over HTTP: a GET gives a reply or a failure, within its time, and never raises.

Together with ``sockets`` and ``causes``, this is all that knows requests and urllib3.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from nomad_exporter import __version__
from nomad_exporter.nomad import tls
from nomad_exporter.nomad.agent import Agent, Secret
from nomad_exporter.nomad.certificates import Certificates
from nomad_exporter.nomad.connections import AgentPool, pool
from nomad_exporter.nomad.errors import classify
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import BODY_LIMITS, MIB, Reply

_HEADERS = {
    "User-Agent": f"nomad-exporter/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}


class _RejectedResponse(Exception):
    """A reply that we do not accept; carries its failure."""

    def __init__(self, classify: Failure) -> None:
        super().__init__(classify)
        self.failure = classify


class _Adapter(HTTPAdapter):
    """requests' adapter over the pool of one agent: no proxy, no other trust than that of the pool's context."""

    def __init__(self, agent_pool: AgentPool, trust: tls.Trust | None) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self.pool, self.trust = agent_pool, trust

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> AgentPool:
        return self.pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The pool's context verifies."""


class Transport:
    """The wire to one agent. Two threads may ask at the same time.

    Credentials are read again when their files change; a file that is empty, half written or gone for a moment leaves
    the last good value in use.
    """

    def __init__(self, agent: Agent, contexts: tls.Contexts) -> None:
        self._agent = agent
        self._contexts = contexts
        self._token: str | None = None
        self._lock = threading.Lock()
        self._adapter: _Adapter | None = None
        self._closed = False
        self._base = str(agent.address) if agent.address.scheme != "unix" else "http://127.0.0.1"

    def get(self, path: str, seconds: float) -> Reply | Failure:
        """The reply to ``GET path``, wholly received within ``seconds``; else why there is none."""
        try:
            return self._get(path, seconds)
        except _RejectedResponse as refused:
            return refused.failure
        except Exception as error:  # noqa: BLE001  # The promise of this room: no exception leaves it.
            return classify(error, seconds)

    @property
    def certificates(self) -> Certificates:
        """When the certificates of the newest connection expire."""
        if self._adapter is None or self._adapter.trust is None:
            return Certificates()
        return Certificates(self._adapter.pool.peer_not_after, self._adapter.trust.own_not_after)

    def close(self) -> None:
        """Ends the connections, also those that a thread is reading from."""
        with self._lock:
            self._closed = True
            if self._adapter:
                self._adapter.pool.abort()
                self._adapter.pool.close()

    def _get(self, path: str, seconds: float) -> Reply:
        """One question; a second one where the agent rejects a token that has been replaced in the meantime."""
        end = time.monotonic() + seconds
        token = self._current_token()
        reply = self._send(path, token, end)
        if reply.status in _REJECTIONS and (renewed := self._current_token()) != token:
            return self._send(path, renewed, end)
        return reply

    def _send(self, path: str, token: str | None, end: float) -> Reply:
        headers = {**_HEADERS, **_auth_headers(token, self._agent.credentials.basic_auth)}
        request = requests.Request("GET", self._base + path, headers=headers).prepare()
        timeout = urllib3.Timeout(total=max(end - time.monotonic(), 0.001))
        raw: urllib3.HTTPResponse = self._exchange(request, timeout).raw
        try:
            return Reply(raw.status, _body(raw, BODY_LIMITS.get(path, MIB)))
        except BaseException:
            raw.close()
            raise

    def _exchange(self, request: requests.PreparedRequest, timeout: urllib3.Timeout) -> requests.Response:
        """Sends; once more where new credentials had closed the old connections between the choice and the sending."""
        adapter = self._ready_adapter()
        try:
            return adapter.send(request, stream=True, timeout=timeout)  # type: ignore[arg-type]  # it takes one
        except requests.ConnectionError as error:
            if adapter is self._adapter or not isinstance(error.args[0], urllib3.exceptions.ClosedPoolError):
                raise
        return self._ready_adapter().send(request, stream=True, timeout=timeout)  # type: ignore[arg-type]  # likewise

    def _ready_adapter(self) -> _Adapter:
        """The adapter for the files as they are now; with new ones, new connections are made."""
        agent = self._agent
        trust = self._contexts.get(agent.tls) if agent.address.scheme == "https" else None
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError
            before = self._adapter
            if before and before.trust is trust:
                return before
            self._adapter = _Adapter(pool(agent.address, agent.tls, trust.context if trust else None), trust)
            if before:
                before.pool.close()
            return self._adapter

    def _current_token(self) -> str | None:
        credentials = self._agent.credentials
        if credentials.token_file is None:
            return _printable(credentials.token.reveal(), "NOMAD_TOKEN") if credentials.token else None
        try:
            self._token = _filled(tls.read(credentials.token_file), credentials.token_file)
        except tls.CredentialError:
            if self._token is None:
                raise
        return self._token


_REJECTIONS = (401, 403, 500)
"""Statuses with which Nomad rejects a token; 500 is that of one that is malformed or expired."""


def _filled(token: str, file: Path) -> str:
    if not token:
        raise tls.CredentialError(f"{file}: is empty")
    return _printable(token, str(file))


def _auth_headers(token: str | None, basic_auth: Secret | None) -> Mapping[str, str]:
    """The headers that prove who we are."""
    headers = {}
    if token:
        headers["X-Nomad-Token"] = token
    if basic_auth:
        told = basic_auth.reveal().encode(errors="surrogateescape")
        headers["Authorization"] = "Basic " + b64encode(told).decode()
    return headers


def _printable(token: str, origin: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise tls.CredentialError(f"{origin}: not one line of printable ASCII")
    return token


def _body(raw: urllib3.HTTPResponse, limit: int) -> bytes:
    if raw.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _RejectedResponse(
            Failure(FailureReason.PROTOCOL, "the answer is compressed, though we did not ask for it")
        )
    body = bytearray()
    while chunk := raw.read(65536):
        body += chunk
        if len(body) > limit:
            raise _RejectedResponse(Failure(FailureReason.TOO_LARGE, f"more than {limit // MIB} MiB"))
    return bytes(body)
