"""Agents as ASGI applications: the messages that they send, and when."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

import pytest

from nomad_sim.api.application import LOG_POLL_SECONDS, application
from nomad_sim.api.routes import NomadApi
from nomad_sim.asgi import Message
from nomad_sim.model.messages import LogMessage
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, followers, leader, raft_of, time_until
from tests.support.sim_requests import AGENT_READER, MANAGER, MONITOR, api_with_acl, with_clients

DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")

Headers = Iterable[tuple[str, str]]


class Exchange:
    """A request to an agent whose clock advances only while the agent sleeps.

    The client disconnects after ``messages`` messages or ``pauses`` pauses; with no pauses, at once. ``on_pause`` is
    called in each pause.
    """

    def __init__(self, api: NomadApi, name: str, messages: int = 2, pauses: int = 1000) -> None:
        self.api, self.name = api, name
        self.now = api.cluster.world.now
        self.messages: list[Message] = []
        self.times: list[float] = []
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        self._max_messages, self._max_pauses = messages, pauses
        self._disconnected = asyncio.Event()
        if not pauses:
            self._disconnected.set()
        self._requests = [{"type": "http.request", "body": b"", "more_body": False}]

    def request(self, line: str, headers: Headers = ()) -> list[Message]:
        """Return the messages sent until the response was complete or the client disconnected."""
        method, target = line.split(" ", 1)
        path, _, query = target.partition("?")
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": pairs}
        app = application(self.api, self.name, lambda: self.now, self._pause)
        asyncio.run(asyncio.wait_for(app(scope, self._receive, self._send), timeout=30))
        return self.messages

    async def _pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.on_pause()
        if len(self.pauses) >= self._max_pauses:
            self._disconnected.set()
        await asyncio.sleep(0)

    async def _receive(self) -> Message:
        if self._requests:
            return self._requests.pop()
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        self.times.append(self.now)
        if len(self.messages) >= self._max_messages:
            self._disconnected.set()


def response_to(
    api: NomadApi, line: str, headers: Headers = (), name: str = "s1.global"
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a complete response."""
    head, body = Exchange(api, name).request(line, headers)
    return head["status"], headers_of(head), body["body"]


def headers_of(head: Message) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in head["headers"]}


def test_response_has_headers_and_body() -> None:
    status, headers, body = response_to(NomadApi(calm_cluster()), "GET /v1/agent/health?type=foo")
    date = headers.pop("date")

    assert (status, body) == (200, b"{}")
    assert headers == {"content-type": "application/json", "vary": "Accept-Encoding", "content-length": "2"}
    assert DATE.fullmatch(date)


def test_response_without_content_type_omits_the_header() -> None:
    status, headers, body = response_to(NomadApi(calm_cluster()), "GET /nothing")

    assert (status, body) == (404, b"")
    assert "content-type" not in headers


def test_response_includes_extra_headers() -> None:
    _, headers, _ = response_to(NomadApi(calm_cluster()), "GET /v1/nodes")

    assert headers["x-nomad-index"] == "1"
    assert headers["x-nomad-knownleader"] == "true"


@pytest.mark.parametrize("line", ["GET /v1/agent/health?type=foo", "PUT /v1/agent/self", "GET /nothing"])
def test_response_is_compressed_if_client_accepts_gzip(line: str) -> None:
    plain = response_to(NomadApi(calm_cluster()), line)
    status, headers, body = response_to(NomadApi(calm_cluster()), line, [("Accept-Encoding", "gzip, deflate")])

    assert (status, gzip.decompress(body)) == (plain[0], plain[2])
    assert (headers["content-encoding"], headers["content-length"]) == ("gzip", str(len(body)))
    assert "content-encoding" not in plain[1]


def test_response_is_not_compressed_for_other_encodings() -> None:
    assert response_to(NomadApi(calm_cluster()), "GET /nothing", [("Accept-Encoding", "identity")])[2] == b""


def test_head_response_has_length_but_no_body() -> None:
    status, headers, body = response_to(NomadApi(calm_cluster()), "HEAD /v1/agent/self")

    assert (status, headers["content-length"], body) == (405, str(len("Invalid method")), b"")


def test_parameters_may_be_repeated_empty_or_escaped() -> None:
    api = NomadApi(with_clients())
    line = f"PUT /v1/agent/servers?address=127.0.1.1&x=&address={quote('127.0.1.2:4647', safe='')}"

    assert response_to(api, line, name="c1")[0] == 200
    assert response_to(api, "GET /v1/agent/servers", name="c1")[2] == b'["127.0.1.1:4647","127.0.1.2:4647"]'


@pytest.mark.parametrize(
    ("series", "headers", "status"),
    [
        ("2.0", [("X-Nomad-Token", MONITOR)], 200),
        ("2.0", [("X-Nomad-Token", f" {MONITOR} ")], 200),
        ("2.0", [("Authorization", f"Bearer {MONITOR}")], 200),
        ("2.0", [("Authorization", f"bEARER  {MONITOR}")], 200),
        ("2.0", [("Authorization", f"Basic {MONITOR}")], 403),
        ("2.0", [("Authorization", MONITOR)], 403),
        ("2.0", [("X-Nomad-Token", AGENT_READER), ("Authorization", f"Bearer {MONITOR}")], 403),
        ("2.0", [("X-Nomad-Token", ""), ("Authorization", f"Bearer {MONITOR}")], 200),
        ("2.0", [], 403),
        ("1.2", [("X-Nomad-Token", MONITOR)], 200),
        ("1.2", [("Authorization", f"Bearer {MONITOR}")], 403),
        ("0.12", [("Authorization", f"Bearer {MANAGER}")], 403),
    ],
)
def test_version_decides_which_token_headers_are_accepted(series: str, headers: Headers, status: int) -> None:
    assert response_to(api_with_acl(VERSIONS[series]), "GET /v1/agent/members", headers)[0] == status


def leaderless() -> tuple[NomadApi, str]:
    """Return a cluster of three servers, two of them dead, and the remaining server, which has no leader."""
    cluster = calm_cluster()
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (remaining,) = cluster.world.running()
    time_until(cluster, lambda: raft_of(cluster, remaining).leader is None)
    return NomadApi(cluster), remaining


def test_held_request_gets_a_response() -> None:
    api, remaining = leaderless()
    exchange = Exchange(api, remaining)
    started = exchange.now
    head, body = exchange.request("GET /v1/agent/health")

    assert (head["status"], b"No cluster leader" in body["body"]) == (500, True)
    assert 5.0 <= api.cluster.world.now - started <= 5.3
    assert sum(exchange.pauses) == pytest.approx(exchange.now - started)


@pytest.mark.parametrize("line", ["GET /v1/agent/health?stale&type=server", "PUT /v1/agent/self", "GET /nothing"])
def test_agent_logs_every_completed_request(line: str) -> None:
    api = NomadApi(calm_cluster())
    before = api.cluster.world.logs["s1.global"].next
    response_to(api, line)
    (logged,) = [one for one in api.cluster.world.logs["s1.global"].read_from(before).lines if one.module == "http"]
    method, path = line.split(" ")

    assert (logged.level, logged.message) == ("debug", "request complete")
    assert logged.pairs == (("method", method), ("path", path), ("duration", 0.0))


def test_logged_duration_includes_hold_time() -> None:
    api, remaining = leaderless()
    before = api.cluster.world.logs[remaining].next
    exchange = Exchange(api, remaining)
    started = exchange.now
    exchange.request("GET /v1/agent/health")
    (logged,) = [one for one in api.cluster.world.logs[remaining].read_from(before).lines if one.module == "http"]

    assert dict(logged.pairs)["duration"] == pytest.approx(exchange.now - started)


@pytest.mark.parametrize("pauses", [1, 5])
def test_client_that_disconnects_while_held_receives_nothing(pauses: int) -> None:
    api = NomadApi(calm_cluster())
    api.cluster.pause("s1.global")
    exchange = Exchange(api, "s1.global", pauses=pauses)

    assert exchange.request("GET /v1/agent/self") == []
    assert pauses <= len(exchange.pauses) <= pauses + 2


def test_frame_stream_sends_headers_at_once_then_heartbeats() -> None:
    exchange = Exchange(NomadApi(with_clients()), "c1", messages=3)
    started = exchange.now
    head, first, second = exchange.request("GET /v1/agent/monitor?log_level=error")

    assert (head["status"], headers_of(head)["content-type"]) == (200, "application/json")
    assert "content-length" not in headers_of(head)
    assert first == second == {"type": "http.response.body", "body": b"{}", "more_body": True}
    assert exchange.times[0] == started
    assert [time - started for time in exchange.times[1:]] == [
        pytest.approx(1.0, abs=LOG_POLL_SECONDS),
        pytest.approx(2.0, abs=LOG_POLL_SECONDS),
    ]


def test_plain_stream_sends_headers_with_first_line() -> None:
    api = NomadApi(calm_cluster())
    exchange = Exchange(api, "s1.global")

    def log_line() -> None:
        if len(exchange.pauses) == 50:
            assert exchange.messages == []
            api.cluster.world.log("s1.global", "nomad", (LogMessage("error", "said"),))

    exchange.on_pause = log_line
    head, body = exchange.request("GET /v1/agent/monitor?plain=true&log_level=error")

    assert headers_of(head)["content-type"] == "text/plain"
    assert body["body"].endswith(b" [ERROR] nomad: said\n")


def test_plain_stream_without_lines_sends_nothing() -> None:
    exchange = Exchange(NomadApi(calm_cluster()), "s1.global", pauses=20)

    assert exchange.request("GET /v1/agent/monitor?plain=true&log_level=error") == []


def test_profile_is_sent_after_the_requested_seconds() -> None:
    exchange = Exchange(api_with_acl(), "s1.global")
    started = exchange.now
    head, _ = exchange.request("GET /v1/agent/pprof/profile?seconds=3", [("X-Nomad-Token", MANAGER)])

    assert (head["status"], headers_of(head)["content-type"]) == (200, "application/octet-stream")
    assert headers_of(head)["content-disposition"] == 'attachment; filename="profile"'
    assert 3.0 <= exchange.times[0] - started <= 3.2


def test_profile_ends_when_its_client_disconnects() -> None:
    exchange = Exchange(api_with_acl(), "s1.global", pauses=2)

    assert exchange.request("GET /v1/agent/pprof/profile?seconds=60", [("X-Nomad-Token", MANAGER)]) == []
    assert len(exchange.pauses) <= 4


def test_handler_exception_is_a_500_and_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    start, body = Exchange(NomadApi(calm_cluster()), "s9.global").request("GET /v1/agent/self")

    assert start["status"] == 500
    assert body["body"] == b"internal error of the demo; see its log"
    (record,) = caplog.records
    assert record.getMessage() == "request handler failed: agent=s9.global path=/v1/agent/self error=KeyError"
    assert record.exc_info is None
