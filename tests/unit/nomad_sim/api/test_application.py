"""The agents as ASGI applications: what goes over the wire, and when."""

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
    """A request to an agent, whose clock goes on only where the agent pauses.

    The one who asks leaves after so many messages, or after so many pauses; after none, at once. ``paused`` is called
    in each pause.
    """

    def __init__(self, api: NomadApi, name: str, messages: int = 2, pauses: int = 1000) -> None:
        self.api, self.name = api, name
        self.now = api.cluster.world.now
        self.messages: list[Message] = []
        self.times: list[float] = []
        self.pauses: list[float] = []
        self.paused: Callable[[], None] = lambda: None
        self._messages, self._most = messages, pauses
        self._left = asyncio.Event()
        if not pauses:
            self._left.set()
        self._requests = [{"type": "http.request", "body": b"", "more_body": False}]

    def request(self, line: str, headers: Headers = ()) -> list[Message]:
        """What was sent until the answer was whole or the one who asked had left."""
        method, target = line.split(" ", 1)
        path, _, query = target.partition("?")
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": pairs}
        served = application(self.api, self.name, lambda: self.now, self._pause)
        asyncio.run(asyncio.wait_for(served(scope, self._receive, self._send), timeout=30))
        return self.messages

    async def _pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.paused()
        if len(self.pauses) >= self._most:
            self._left.set()
        await asyncio.sleep(0)

    async def _receive(self) -> Message:
        if self._requests:
            return self._requests.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        self.times.append(self.now)
        if len(self.messages) >= self._messages:
            self._left.set()


def exchanged(
    api: NomadApi, line: str, headers: Headers = (), name: str = "s1.global"
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a whole answer."""
    head, body = Exchange(api, name).request(line, headers)
    return head["status"], headers_of(head), body["body"]


def headers_of(head: Message) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in head["headers"]}


def test_an_answer_is_a_head_and_a_body() -> None:
    status, headers, body = exchanged(NomadApi(calm_cluster()), "GET /v1/agent/health?type=foo")
    date = headers.pop("date")

    assert (status, body) == (200, b"{}")
    assert headers == {"content-type": "application/json", "vary": "Accept-Encoding", "content-length": "2"}
    assert DATE.fullmatch(date)


def test_an_answer_without_a_content_type_has_no_such_header() -> None:
    status, headers, body = exchanged(NomadApi(calm_cluster()), "GET /nothing")

    assert (status, body) == (404, b"")
    assert "content-type" not in headers


def test_an_answer_with_headers_of_its_own_has_them() -> None:
    _, headers, _ = exchanged(NomadApi(calm_cluster()), "GET /v1/nodes")

    assert headers["x-nomad-index"] == "1"
    assert headers["x-nomad-knownleader"] == "true"


@pytest.mark.parametrize("line", ["GET /v1/agent/health?type=foo", "PUT /v1/agent/self", "GET /nothing"])
def test_every_answer_is_zipped_for_who_takes_it(line: str) -> None:
    plain = exchanged(NomadApi(calm_cluster()), line)
    status, headers, body = exchanged(NomadApi(calm_cluster()), line, [("Accept-Encoding", "gzip, deflate")])

    assert (status, gzip.decompress(body)) == (plain[0], plain[2])
    assert (headers["content-encoding"], headers["content-length"]) == ("gzip", str(len(body)))
    assert "content-encoding" not in plain[1]


def test_an_answer_is_not_zipped_for_who_takes_another_form() -> None:
    assert exchanged(NomadApi(calm_cluster()), "GET /nothing", [("Accept-Encoding", "identity")])[2] == b""


def test_to_a_head_the_length_is_told_and_nothing_more() -> None:
    status, headers, body = exchanged(NomadApi(calm_cluster()), "HEAD /v1/agent/self")

    assert (status, headers["content-length"], body) == (405, str(len("Invalid method")), b"")


def test_parameters_may_be_repeated_empty_and_escaped() -> None:
    api = NomadApi(with_clients())
    line = f"PUT /v1/agent/servers?address=127.0.1.1&x=&address={quote('127.0.1.2:4647', safe='')}"

    assert exchanged(api, line, name="c1")[0] == 200
    assert exchanged(api, "GET /v1/agent/servers", name="c1")[2] == b'["127.0.1.1:4647","127.0.1.2:4647"]'


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
def test_a_token_comes_in_either_header_as_the_version_takes_it(series: str, headers: Headers, status: int) -> None:
    assert exchanged(api_with_acl(VERSIONS[series]), "GET /v1/agent/members", headers)[0] == status


def leaderless() -> tuple[NomadApi, str]:
    """Three servers, two of them killed, and the third, which knows no leader."""
    cluster = calm_cluster()
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (left,) = cluster.world.running()
    time_until(cluster, lambda: raft_of(cluster, left).leader is None)
    return NomadApi(cluster), left


def test_a_question_that_is_held_is_answered_in_the_end() -> None:
    api, left = leaderless()
    exchange = Exchange(api, left)
    started = exchange.now
    head, body = exchange.request("GET /v1/agent/health")

    assert (head["status"], b"No cluster leader" in body["body"]) == (500, True)
    assert 5.0 <= api.cluster.world.now - started <= 5.3
    assert sum(exchange.pauses) == pytest.approx(exchange.now - started)


@pytest.mark.parametrize("line", ["GET /v1/agent/health?stale&type=server", "PUT /v1/agent/self", "GET /nothing"])
def test_an_agent_writes_every_question_that_it_answered_into_its_log(line: str) -> None:
    api = NomadApi(calm_cluster())
    before = api.cluster.world.logs["s1.global"].next
    exchanged(api, line)
    (written,) = [one for one in api.cluster.world.logs["s1.global"].read_from(before).lines if one.module == "http"]
    method, path = line.split(" ")

    assert (written.level, written.message) == ("debug", "request complete")
    assert written.pairs == (("method", method), ("path", path), ("duration", 0.0))


def test_it_writes_how_long_it_held_a_question() -> None:
    api, left = leaderless()
    before = api.cluster.world.logs[left].next
    exchange = Exchange(api, left)
    started = exchange.now
    exchange.request("GET /v1/agent/health")
    (written,) = [one for one in api.cluster.world.logs[left].read_from(before).lines if one.module == "http"]

    assert dict(written.pairs)["duration"] == pytest.approx(exchange.now - started)


@pytest.mark.parametrize("pauses", [1, 5])
def test_who_leaves_while_a_question_is_held_is_sent_nothing(pauses: int) -> None:
    api = NomadApi(calm_cluster())
    api.cluster.pause("s1.global")
    exchange = Exchange(api, "s1.global", pauses=pauses)

    assert exchange.request("GET /v1/agent/self") == []
    assert pauses <= len(exchange.pauses) <= pauses + 2


def test_a_watcher_of_frames_is_sent_the_head_at_once_and_then_what_comes() -> None:
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


def test_a_watcher_of_plain_text_is_sent_no_head_before_the_first_line() -> None:
    api = NomadApi(calm_cluster())
    exchange = Exchange(api, "s1.global")

    def log_line() -> None:
        if len(exchange.pauses) == 50:
            assert exchange.messages == []
            api.cluster.world.log("s1.global", "nomad", (LogMessage("error", "said"),))

    exchange.paused = log_line
    head, body = exchange.request("GET /v1/agent/monitor?plain=true&log_level=error")

    assert headers_of(head)["content-type"] == "text/plain"
    assert body["body"].endswith(b" [ERROR] nomad: said\n")


def test_a_watcher_of_plain_text_who_leaves_before_it_is_sent_nothing() -> None:
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


def test_what_goes_wrong_is_one_line_in_the_log_and_a_500(caplog: pytest.LogCaptureFixture) -> None:
    start, body = Exchange(NomadApi(calm_cluster()), "s9.global").request("GET /v1/agent/self")

    assert start["status"] == 500
    assert body["body"] == b"internal error of the demo; see its log"
    (record,) = caplog.records
    assert record.getMessage() == "request handler failed: agent=s9.global path=/v1/agent/self error=KeyError"
    assert record.exc_info is None
