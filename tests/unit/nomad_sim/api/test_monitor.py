"""The log of an agent as a stream: levels, formats, frames and heartbeats, whose log it is, and who may read it."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from nomad_sim.api.frames import HEARTBEAT
from nomad_sim.api.http import JSON, TEXT, ApiResponse, Stream
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.cluster import LOG_LINES, Cluster
from nomad_sim.model.messages import LogMessage
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, leader
from tests.support.sim_requests import (
    AGENT_READER,
    MANAGER,
    MONITOR,
    UNKNOWN_TOKEN,
    api_with_acl,
    is_pending,
    respond,
    send,
    status_and_text,
    with_clients,
)

WATCH = "GET /v1/agent/monitor"


def monitored(api: NomadApi, name: str, query: str = "", token: str = "") -> Stream:
    stream = send(api, name, WATCH + query, token)
    assert isinstance(stream, Stream), stream
    return stream


def say(cluster: Cluster, name: str, level: str, message: str) -> None:
    cluster.world.log(name, "nomad", (LogMessage(level, message),))


def objects(data: bytes) -> list[dict[str, object]]:
    """The objects that stand one behind the other."""
    decoder, rest, found = json.JSONDecoder(), data.decode(), []
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:]
    return found


def log_in(data: bytes) -> str:
    """What the frames carry."""
    return b"".join(b64decode(str(one.get("Data", ""))) for one in objects(data)).decode()


def all_levels(api: NomadApi, query: str) -> list[str]:
    """The messages that are told to one who watches at a level, of one message at each."""
    stream = monitored(api, "s1.global", f"?plain=true{query}")
    for level in ("trace", "debug", "info", "warn", "error"):
        say(api.cluster, "s1.global", level, f"at {level}")
    return [line.rpartition("at ")[2] for line in stream.next_chunk(api.cluster.world.now).decode().splitlines()]


@pytest.mark.parametrize(
    ("query", "output"),
    [
        ("", ["info", "warn", "error"]),
        ("&log_level=trace", ["trace", "debug", "info", "warn", "error"]),
        ("&log_level=DEBUG", ["debug", "info", "warn", "error"]),
        ("&log_level=Warn", ["warn", "error"]),
        ("&log_level=error", ["error"]),
        ("&log_level=off", []),
    ],
)
def test_who_watches_at_a_level_is_told_what_is_as_grave(query: str, output: list[str]) -> None:
    assert all_levels(NomadApi(calm_cluster()), query) == output


def test_who_watches_is_told_what_comes_from_now_on_and_each_line_once() -> None:
    api = NomadApi(calm_cluster())
    say(api.cluster, "s1.global", "info", "before")
    stream = monitored(api, "s1.global", "?plain=true")

    assert stream.next_chunk(10.0) == b""
    say(api.cluster, "s1.global", "info", "after")
    assert stream.next_chunk(10.2).endswith(b" [INFO]  nomad: after\n")
    assert stream.next_chunk(10.4) == b""


def test_two_who_watch_are_told_the_same() -> None:
    api = NomadApi(calm_cluster())
    one, other = (monitored(api, "s1.global", "?plain=true") for _ in range(2))
    say(api.cluster, "s1.global", "info", "said")

    assert one.next_chunk(10.0) == other.next_chunk(10.0) != b""


@pytest.mark.parametrize("query", ["", "?plain=false", "?log_json=false", "?plain=0&log_json=0"])
def test_frames_come_at_once_as_json(query: str) -> None:
    api = NomadApi(calm_cluster())
    stream = monitored(api, "s1.global", query)
    say(api.cluster, "s1.global", "warn", "said")
    (frame,) = objects(stream.next_chunk(10.0))

    assert (stream.content_type, stream.defer_headers) == (JSON, False)
    assert frame.keys() == {"Data", "FileEvent"}
    assert b64decode(str(frame["Data"])).endswith(b" [WARN]  nomad: said\n")


def test_lines_of_json_come_in_frames_too() -> None:
    api = NomadApi(calm_cluster())
    stream = monitored(api, "s1.global", "?log_json=true")
    say(api.cluster, "s1.global", "warn", "said")

    line = json.loads(log_in(stream.next_chunk(10.0)))

    assert (line["@level"], line["@module"], line["@message"]) == ("warn", "nomad", "said")


@pytest.mark.parametrize("query", ["?plain=true", "?plain=1", "?plain=t&log_json=true"])
def test_plain_text_says_nothing_before_there_is_a_line(query: str) -> None:
    stream = monitored(NomadApi(calm_cluster()), "s1.global", query)

    assert (stream.content_type, stream.defer_headers) == ("text/plain", True)
    assert stream.next_chunk(1000.0) == b""


def test_plain_lines_of_json_are_lines_of_json() -> None:
    api = NomadApi(calm_cluster())
    stream = monitored(api, "s1.global", "?plain=true&log_json=true")
    say(api.cluster, "s1.global", "info", "one")
    say(api.cluster, "s1.global", "info", "two")

    lines = [json.loads(line) for line in stream.next_chunk(10.0).splitlines()]

    assert [line["@message"] for line in lines] == ["one", "two"]


def test_a_second_without_a_frame_is_filled_by_a_heartbeat() -> None:
    api = NomadApi(calm_cluster())
    started = api.cluster.world.now
    stream = monitored(api, "s1.global")

    pieces = [stream.next_chunk(started + tenth / 10) for tenth in range(1, 31)]

    assert [piece for piece in pieces if piece] == [HEARTBEAT] * 3
    assert pieces[9] == pieces[19] == HEARTBEAT


def test_much_at_once_is_cut_into_frames_with_offsets() -> None:
    api = NomadApi(calm_cluster())
    stream = monitored(api, "s1.global")
    say(api.cluster, "s1.global", "info", "long " * 500)
    data = stream.next_chunk(10.0)

    assert [one.get("Offset") for one in objects(data)] == [None, 1024, 2048]
    assert log_in(data).endswith(f"{'long ' * 500}\n")


def test_what_fell_out_of_the_log_before_it_was_read_is_counted() -> None:
    api = NomadApi(calm_cluster())
    stream = monitored(api, "s1.global", "?plain=true&log_json=true")
    for number in range(LOG_LINES + 88):
        say(api.cluster, "s1.global", "info", str(number))

    lines = stream.next_chunk(10.0).splitlines()

    assert lines[0] == b"[WARN] Monitor dropped 88 logs during monitor request"
    assert [json.loads(line)["@message"] for line in lines[1:]] == [str(number) for number in range(88, LOG_LINES + 88)]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("?node_id=id-global-c1", "c1"),
        ("?server_id=s2.global", "s2.global"),
        ("?server_id=s3", "s3.global"),
        ("?server_id=leader", "the leader"),
        ("", "s1.global"),
    ],
)
def test_the_log_is_that_of_the_agent_that_is_meant(query: str, name: str) -> None:
    api = NomadApi(with_clients())
    names = {"the leader": leader(api.cluster)}
    stream = monitored(api, "s1.global", f"{query or '?'}&plain=true")
    for agent in api.cluster.world.agents:
        say(api.cluster, agent, "info", f"of {agent}")

    assert stream.next_chunk(0.0).decode().rstrip().rpartition("of ")[2] == names.get(name, name)


NO_TRUTH = 'strconv.ParseBool: parsing "maybe": invalid syntax'


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("?log_level=loud", 400, "Unknown log level: loud"),
        ("?log_level=loud&plain=maybe&node_id=a&server_id=b", 400, "Unknown log level: loud"),
        ("?log_json=maybe", 400, f"Unknown option for log json: {NO_TRUTH}"),
        ("?plain=maybe", 400, f"Unknown option for plain: {NO_TRUTH}"),
        ("?plain=maybe&node_id=a&server_id=b", 400, f"Unknown option for plain: {NO_TRUTH}"),
        ("?node_id=a&server_id=b", 400, "Cannot target node and server simultaneously"),
        ("?node_id=nothing", 404, 'Unknown node "nothing"'),
        ("?server_id=nothing", 400, "unknown Nomad server nothing"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_what_is_wrong_with_a_question_is_said_in_order_and_to_any_method(
    method: str, query: str, status: int, body: str
) -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", f"{method} /v1/agent/monitor{query}")

    assert (status_and_text(reply), reply.content_type) == ((status, body), TEXT)


@pytest.mark.parametrize("token", ["", UNKNOWN_TOKEN, "not-a-token"])
def test_what_is_wrong_with_a_question_is_said_to_everybody(token: str) -> None:
    api = api_with_acl()

    assert respond(api, "s1.global", f"{WATCH}?log_level=loud", token).status == 400
    assert respond(api, "s1.global", f"{WATCH}?node_id=a&server_id=b", token).status == 400


def test_whom_it_means_is_looked_at_only_for_who_may_watch() -> None:
    api = api_with_acl()

    assert status_and_text(respond(api, "s1.global", f"{WATCH}?server_id=nothing")) == (403, "Permission denied")
    assert respond(api, "s1.global", f"{WATCH}?server_id=nothing", AGENT_READER).status == 400


@pytest.mark.parametrize("token", [AGENT_READER, MONITOR, MANAGER])
@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_who_may_read_agents_may_watch(name: str, token: str) -> None:
    assert isinstance(send(api_with_acl(), name, WATCH, token), Stream)


@pytest.mark.parametrize("series", VERSIONS)
@pytest.mark.parametrize("token", [UNKNOWN_TOKEN, "not-a-token"])
@pytest.mark.parametrize(("query", "kind"), [("", JSON), ("?plain=true", "text/plain")])
def test_a_token_that_a_server_does_not_know_meets_success_and_an_end(
    series: str, token: str, query: str, kind: str
) -> None:
    assert respond(api_with_acl(VERSIONS[series]), "s1.global", WATCH + query, token) == ApiResponse(200, b"", kind)


def test_a_token_that_it_knows_but_that_may_not_is_denied() -> None:
    api = api_with_acl()
    poor = NomadApi(api.cluster, type(api.acl)({UNKNOWN_TOKEN: frozenset()}))

    assert status_and_text(respond(poor, "s1.global", WATCH, UNKNOWN_TOKEN)) == (403, "Permission denied")


def test_nobody_in_particular_is_denied() -> None:
    api = api_with_acl()

    assert status_and_text(respond(api, "s1.global", WATCH)) == (403, "Permission denied")
    assert status_and_text(respond(api, "c1", WATCH, UNKNOWN_TOKEN)) == (403, "Permission denied")


def test_a_frozen_agent_is_not_watched() -> None:
    api = NomadApi(with_clients())
    api.cluster.pause("c1")

    assert is_pending(api, "c1", WATCH)
    assert is_pending(api, "s1.global", f"{WATCH}?node_id=id-global-c1")
