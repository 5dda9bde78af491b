"""The log of an agent as a stream: levels, formats, frames, heartbeats, target agents and permissions."""

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

MONITOR_LOG = "GET /v1/agent/monitor"


def open_stream(api: NomadApi, name: str, query: str = "", token: str = "") -> Stream:
    stream = send(api, name, MONITOR_LOG + query, token)
    assert isinstance(stream, Stream), stream
    return stream


def write_log(cluster: Cluster, name: str, level: str, message: str) -> None:
    cluster.world.log(name, "nomad", (LogMessage(level, message),))


def decode_objects(data: bytes) -> list[dict[str, object]]:
    """Decode JSON objects without separators."""
    decoder, rest, found = json.JSONDecoder(), data.decode(), []
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:]
    return found


def data_of(data: bytes) -> str:
    """Return the data of all frames."""
    return b"".join(b64decode(str(one.get("Data", ""))) for one in decode_objects(data)).decode()


def shown_levels(api: NomadApi, query: str) -> list[str]:
    """Log one message at each level; return the levels that the stream shows."""
    stream = open_stream(api, "s1.global", f"?plain=true{query}")
    for level in ("trace", "debug", "info", "warn", "error"):
        write_log(api.cluster, "s1.global", level, f"at {level}")
    return [line.rpartition("at ")[2] for line in stream.next_chunk(api.cluster.world.now).decode().splitlines()]


@pytest.mark.parametrize(
    ("query", "levels"),
    [
        ("", ["info", "warn", "error"]),
        ("&log_level=trace", ["trace", "debug", "info", "warn", "error"]),
        ("&log_level=DEBUG", ["debug", "info", "warn", "error"]),
        ("&log_level=Warn", ["warn", "error"]),
        ("&log_level=error", ["error"]),
        ("&log_level=off", []),
    ],
)
def test_stream_shows_lines_of_its_level_and_above(query: str, levels: list[str]) -> None:
    assert shown_levels(NomadApi(calm_cluster()), query) == levels


def test_stream_shows_each_new_line_once() -> None:
    api = NomadApi(calm_cluster())
    write_log(api.cluster, "s1.global", "info", "before")
    stream = open_stream(api, "s1.global", "?plain=true")

    assert stream.next_chunk(10.0) == b""
    write_log(api.cluster, "s1.global", "info", "after")
    assert stream.next_chunk(10.2).endswith(b" [INFO]  nomad: after\n")
    assert stream.next_chunk(10.4) == b""


def test_two_streams_show_the_same_lines() -> None:
    api = NomadApi(calm_cluster())
    one, other = (open_stream(api, "s1.global", "?plain=true") for _ in range(2))
    write_log(api.cluster, "s1.global", "info", "said")

    assert one.next_chunk(10.0) == other.next_chunk(10.0) != b""


@pytest.mark.parametrize("query", ["", "?plain=false", "?log_json=false", "?plain=0&log_json=0"])
def test_frames_are_json_and_headers_are_sent_at_once(query: str) -> None:
    api = NomadApi(calm_cluster())
    stream = open_stream(api, "s1.global", query)
    write_log(api.cluster, "s1.global", "warn", "said")
    (frame,) = decode_objects(stream.next_chunk(10.0))

    assert (stream.content_type, stream.defer_headers) == (JSON, False)
    assert frame.keys() == {"Data", "FileEvent"}
    assert b64decode(str(frame["Data"])).endswith(b" [WARN]  nomad: said\n")


def test_json_lines_are_sent_in_frames() -> None:
    api = NomadApi(calm_cluster())
    stream = open_stream(api, "s1.global", "?log_json=true")
    write_log(api.cluster, "s1.global", "warn", "said")

    line = json.loads(data_of(stream.next_chunk(10.0)))

    assert (line["@level"], line["@module"], line["@message"]) == ("warn", "nomad", "said")


@pytest.mark.parametrize("query", ["?plain=true", "?plain=1", "?plain=t&log_json=true"])
def test_plain_stream_is_empty_without_lines(query: str) -> None:
    stream = open_stream(NomadApi(calm_cluster()), "s1.global", query)

    assert (stream.content_type, stream.defer_headers) == ("text/plain", True)
    assert stream.next_chunk(1000.0) == b""


def test_plain_stream_sends_json_lines() -> None:
    api = NomadApi(calm_cluster())
    stream = open_stream(api, "s1.global", "?plain=true&log_json=true")
    write_log(api.cluster, "s1.global", "info", "one")
    write_log(api.cluster, "s1.global", "info", "two")

    lines = [json.loads(line) for line in stream.next_chunk(10.0).splitlines()]

    assert [line["@message"] for line in lines] == ["one", "two"]


def test_heartbeat_is_sent_every_second() -> None:
    api = NomadApi(calm_cluster())
    started = api.cluster.world.now
    stream = open_stream(api, "s1.global")

    pieces = [stream.next_chunk(started + tenth / 10) for tenth in range(1, 31)]

    assert [piece for piece in pieces if piece] == [HEARTBEAT] * 3
    assert pieces[9] == pieces[19] == HEARTBEAT


def test_long_line_is_split_into_frames_with_offsets() -> None:
    api = NomadApi(calm_cluster())
    stream = open_stream(api, "s1.global")
    write_log(api.cluster, "s1.global", "info", "long " * 500)
    data = stream.next_chunk(10.0)

    assert [one.get("Offset") for one in decode_objects(data)] == [None, 1024, 2048]
    assert data_of(data).endswith(f"{'long ' * 500}\n")


def test_dropped_lines_are_counted() -> None:
    api = NomadApi(calm_cluster())
    stream = open_stream(api, "s1.global", "?plain=true&log_json=true")
    for number in range(LOG_LINES + 88):
        write_log(api.cluster, "s1.global", "info", str(number))

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
def test_stream_shows_log_of_target_agent(query: str, name: str) -> None:
    api = NomadApi(with_clients())
    names = {"the leader": leader(api.cluster)}
    stream = open_stream(api, "s1.global", f"{query or '?'}&plain=true")
    for agent in api.cluster.world.agents:
        write_log(api.cluster, agent, "info", f"of {agent}")

    assert stream.next_chunk(0.0).decode().rstrip().rpartition("of ")[2] == names.get(name, name)


INVALID_BOOL = 'strconv.ParseBool: parsing "maybe": invalid syntax'


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("?log_level=loud", 400, "Unknown log level: loud"),
        ("?log_level=loud&plain=maybe&node_id=a&server_id=b", 400, "Unknown log level: loud"),
        ("?log_json=maybe", 400, f"Unknown option for log json: {INVALID_BOOL}"),
        ("?plain=maybe", 400, f"Unknown option for plain: {INVALID_BOOL}"),
        ("?plain=maybe&node_id=a&server_id=b", 400, f"Unknown option for plain: {INVALID_BOOL}"),
        ("?node_id=a&server_id=b", 400, "Cannot target node and server simultaneously"),
        ("?node_id=nothing", 404, 'Unknown node "nothing"'),
        ("?server_id=nothing", 400, "unknown Nomad server nothing"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_first_invalid_parameter_is_reported_for_any_method(method: str, query: str, status: int, body: str) -> None:
    reply = respond(NomadApi(calm_cluster()), "s1.global", f"{method} /v1/agent/monitor{query}")

    assert (status_and_text(reply), reply.content_type) == ((status, body), TEXT)


@pytest.mark.parametrize("token", ["", UNKNOWN_TOKEN, "not-a-token"])
def test_invalid_parameter_is_reported_before_token(token: str) -> None:
    api = api_with_acl()

    assert respond(api, "s1.global", f"{MONITOR_LOG}?log_level=loud", token).status == 400
    assert respond(api, "s1.global", f"{MONITOR_LOG}?node_id=a&server_id=b", token).status == 400


def test_token_is_checked_before_target() -> None:
    api = api_with_acl()

    assert status_and_text(respond(api, "s1.global", f"{MONITOR_LOG}?server_id=nothing")) == (403, "Permission denied")
    assert respond(api, "s1.global", f"{MONITOR_LOG}?server_id=nothing", AGENT_READER).status == 400


@pytest.mark.parametrize("token", [AGENT_READER, MONITOR, MANAGER])
@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_agent_read_allows_monitor(name: str, token: str) -> None:
    assert isinstance(send(api_with_acl(), name, MONITOR_LOG, token), Stream)


@pytest.mark.parametrize("series", VERSIONS)
@pytest.mark.parametrize("token", [UNKNOWN_TOKEN, "not-a-token"])
@pytest.mark.parametrize(("query", "kind"), [("", JSON), ("?plain=true", "text/plain")])
def test_unknown_token_gets_an_empty_200_from_a_server(series: str, token: str, query: str, kind: str) -> None:
    assert respond(api_with_acl(VERSIONS[series]), "s1.global", MONITOR_LOG + query, token) == ApiResponse(
        200, b"", kind
    )


def test_token_without_capability_is_denied() -> None:
    api = api_with_acl()
    without_capability = NomadApi(api.cluster, type(api.acl)({UNKNOWN_TOKEN: frozenset()}))

    assert status_and_text(respond(without_capability, "s1.global", MONITOR_LOG, UNKNOWN_TOKEN)) == (
        403,
        "Permission denied",
    )


def test_request_without_valid_token_is_denied() -> None:
    api = api_with_acl()

    assert status_and_text(respond(api, "s1.global", MONITOR_LOG)) == (403, "Permission denied")
    assert status_and_text(respond(api, "c1", MONITOR_LOG, UNKNOWN_TOKEN)) == (403, "Permission denied")


def test_monitor_of_paused_agent_is_held() -> None:
    api = NomadApi(with_clients())
    api.cluster.pause("c1")

    assert is_pending(api, "c1", MONITOR_LOG)
    assert is_pending(api, "s1.global", f"{MONITOR_LOG}?node_id=id-global-c1")
