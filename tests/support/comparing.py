"""Comparison of recorded responses with those of the simulated agents in the same scenario."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import ProtocolError

from tests.support.recordings import FOLDER
from tests.support.scenarios import TOKENS, member_of, play_scenario
from tests.support.sim_cluster import ManualSimCluster, serve_cluster_manually

CLIENT_TIMEOUT = 12.0
"""Seconds that the recorder waited for a response."""

IGNORED_HEADERS = frozenset({"date", "content-length", "transfer-encoding", "connection"})
"""Headers that depend on the time or on the HTTP server."""


@dataclass(frozen=True, slots=True)
class TimedResponse:
    """A response and the seconds until it was complete; ``status`` is None if there was none."""

    status: int | None
    headers: Mapping[str, str]
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded response. ``path`` is its file, such as ``2.0.5/healthy/s1-follower/self.json``."""

    path: str
    request: str
    date: str
    is_stream: bool
    response: TimedResponse

    @property
    def parts(self) -> tuple[str, ...]:
        """Build, scenario, agent and file name."""
        return Path(self.path).parts

    @property
    def client_timeout(self) -> float:
        """Seconds after which the recorder ended the request."""
        ended_by_client = self.is_stream or self.response.status is None
        return round(self.response.seconds) if ended_by_client else CLIENT_TIMEOUT


_OTHER = "any other request"
_REQUEST_ORDER = (
    "self.json",
    "members.json",
    "servers.json",
    "health.json",
    "health-stale.json",
    _OTHER,
    "servers-update.json",
    "servers-after-update.json",
    "join.json",
)
"""The order of the requests to one agent; requests that change something are last."""

HELD_SECONDS = 4.0
"""Seconds after which a response counts as held; Nomad holds requests for five."""

MAX_RETRIES = 30
"""Maximum number of repeated requests if the response depends on chance."""


@cache
def recordings() -> tuple[Recording, ...]:
    """Return all recordings, sorted by path."""
    return tuple(_read(path) for path in sorted(FOLDER.rglob("*.json")))


def _read(path: Path) -> Recording:
    recorded: dict[str, Any] = json.loads(path.read_text())
    headers = {name.lower(): value for name, value in recorded.get("headers", {}).items()}
    body = json.dumps(recorded["json"]) if "json" in recorded else recorded.get("text", "")
    is_stream = "/monitor?" in recorded["request"] and recorded.get("status") != 400
    response = TimedResponse(recorded.get("status"), headers, body, recorded["seconds"])
    return Recording(str(path.relative_to(FOLDER)), recorded["request"], headers.get("date", "~"), is_stream, response)


@cache
def differences(build: str, scenario: str) -> Mapping[str, frozenset[str]]:
    """Return the differences between simulated and recorded responses of a scenario, by path of the recording."""
    with serve_cluster_manually(play_scenario(build, scenario)) as sim:
        return {recording.path: _differences(sim, recording) for recording in _in_order(build, scenario)}


def _in_order(build: str, scenario: str) -> list[Recording]:
    """Return the recordings of a scenario in the order in which they were made, agent by agent."""
    selected = [recording for recording in recordings() if recording.parts[:2] == (build, scenario)]
    agents = {recording.parts[2] for recording in selected}
    started = {agent: min(recording.date for recording in selected if recording.parts[2] == agent) for agent in agents}

    def key(recording: Recording) -> tuple[str, str, int, str]:
        _, _, agent, file = recording.parts
        return started[agent], agent, _position(file), recording.path

    return sorted(selected, key=key)


def _position(file: str) -> int:
    return _REQUEST_ORDER.index(file if file in _REQUEST_ORDER else _OTHER)


def _differences(sim: ManualSimCluster, recording: Recording) -> frozenset[str]:
    """Return the differences; the fewest of several tries if the response depends on chance."""
    found = frozenset(compare(recording, _request(sim, recording)))
    for _ in range(MAX_RETRIES):
        if not _depends_on_chance(recording, found):
            break
        other = frozenset(compare(recording, _request(sim, recording)))
        found = min(found, other, key=lambda tried: (len(tried & _MISSING), len(tried)))
    return found


_MISSING = frozenset({"unexpected response", "no response"})


def _depends_on_chance(recording: Recording, found: frozenset[str]) -> bool:
    """Check whether another try may differ: a client picks a random server, and a stream may show no log line."""
    if recording.is_stream:
        return bool(found & _MISSING)
    return bool(found) and recording.path.endswith("-client/members.json")


def _request(sim: ManualSimCluster, recording: Recording) -> TimedResponse:
    method, target = recording.request.split(" ", 1)
    folder = recording.parts[2]
    token = TOKENS.get(folder, "") if recording.parts[1].startswith("acl") else ""
    headers = {"Authorization": f"Bearer {token}"} if folder == "bearer" else {"X-Nomad-Token": token} if token else {}
    sim.client_timeout = recording.client_timeout
    started = sim.cluster.world.now
    response = _send(method, f"{sim.url(member_of(folder))}{target}", headers)
    sim.advance(0)
    return replace(response, seconds=sim.cluster.world.now - started)


def _send(method: str, url: str, headers: Mapping[str, str]) -> TimedResponse:
    """Return the response; without a status if the connection was aborted. Raise ConnectionError if it was refused."""
    try:
        with requests.request(method, url, headers=headers, stream=True, timeout=CLIENT_TIMEOUT) as response:
            lower_case = {name.lower(): value for name, value in response.headers.items()}
            return TimedResponse(response.status_code, lower_case, _body(response), 0.0)
    except requests.ConnectionError as error:
        if not isinstance(error.args[0], ProtocolError):
            raise
        return TimedResponse(None, {}, "", 0.0)


def _body(response: requests.Response) -> str:
    """Return the part of the body that was received."""
    chunks: list[bytes] = []
    with suppress(requests.exceptions.ChunkedEncodingError):
        chunks.extend(response.iter_content(None))
    return b"".join(chunks).decode()


def compare(recording: Recording, actual: TimedResponse) -> Iterator[str]:
    """Yield each difference between the recorded and the actual response.

    A difference is ``no response``, ``unexpected response``, ``status …``, ``header …``, ``held`` or ``not held``.
    In the body, it is ``missing …``, ``extra …``, ``format of …`` or, if only the value differs, ``value of …``.
    """
    expected = recording.response
    if None in (expected.status, actual.status):
        if expected.status != actual.status:
            yield "no response" if actual.status is None else "unexpected response"
        return
    if expected.status != actual.status:
        yield f"status {actual.status} for {expected.status}"
    if not recording.is_stream and (expected.seconds >= HELD_SECONDS) != (actual.seconds >= HELD_SECONDS):
        yield "held" if actual.seconds >= HELD_SECONDS else "not held"
    yield from _compare_headers(expected.headers, actual.headers)
    parse = _parse_stream if recording.is_stream else _parse_text
    yield from _compare_leaves(dict(_flatten(parse(expected.text))), dict(_flatten(parse(actual.text))))


def _compare_headers(expected: Mapping[str, str], actual: Mapping[str, str]) -> Iterator[str]:
    for name in sorted((expected.keys() | actual.keys()) - IGNORED_HEADERS):
        if expected.get(name) != actual.get(name):
            yield f"header {name}: {actual.get(name)} for {expected.get(name)}"


def _compare_leaves(expected: Mapping[str, object], actual: Mapping[str, object]) -> Iterator[str]:
    yield from (f"missing {path}" for path in expected.keys() - actual.keys())
    yield from (f"extra {path}" for path in actual.keys() - expected.keys())
    for path in expected.keys() & actual.keys():
        if expected[path] != actual[path]:
            is_same_format = format_of(expected[path]) == format_of(actual[path])
            yield f"{'value' if is_same_format else 'format'} of {path}"


def _parse_text(text: str) -> object:
    """Parse JSON; return any other text under the key ``text``, without addresses."""
    try:
        return json.loads(text)
    except ValueError:
        return {"text": _ADDRESS.sub("<address>", text)}


def _parse_stream(text: str) -> object:
    """Return the kinds of frames and lines that a stream contains."""
    if not text.startswith("{"):
        return {"lines": _summarize_lines(text)}
    return {
        _kind(frame): {key: _summarize_field(key, value) for key, value in frame.items() if key in _FIELDS}
        for frame in _parse_objects(text)
    }


_FIELDS = ("Data", "FileEvent", "@level", "@message", "@module", "@timestamp")
"""Fields that every frame with data or every JSON line has; only some frames have an offset."""


def _parse_objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield JSON objects, with or without line breaks between them."""
    decoder = json.JSONDecoder()
    rest = text
    while rest:
        parsed, end = decoder.raw_decode(rest)
        yield parsed
        rest = rest[end:].lstrip()


def _kind(frame: Mapping[str, Any]) -> str:
    return "line" if "@message" in frame else "frame" if frame else "heartbeat"


def _summarize_field(key: str, value: Any) -> object:
    if key == "Data":
        return _summarize_lines(b64decode(value).decode())
    return value if key == "FileEvent" else format_of(value)


def _summarize_lines(text: str) -> str:
    """Return ``log lines`` if every line has the log format, else the text; continuation lines are indented."""
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    return "log lines" if lines and all(map(_LINE.fullmatch, lines)) else text


_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[(TRACE|DEBUG|INFO|WARN|ERROR)\] {1,2}[a-z_.]+: \S.*")
_ADDRESS = re.compile(r"127\.0\.\d+\.\d+:4647")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PEER = re.compile(r"\{Suffrage:[^}]*\}")


def _flatten(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield path and value of each leaf of a JSON value; objects in a list are identified by their names."""
    if value and isinstance(value, dict):
        for key, child in value.items():
            yield from _flatten(child, f"{path}.{key}" if path else key)
    elif value and isinstance(value, list):
        for key, child in _with_keys(value):
            yield from _flatten(child, f"{path}.{key}" if path else key)
    else:
        yield path, _normalize(value)


def _with_keys(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield a key for each item; strings are sorted, since Nomad lists peers in random order."""
    for number, value in enumerate(sorted(values) if isinstance(values[0], str) else values):
        yield (value["Name"] if isinstance(value, dict) and "Name" in value else str(number)), value


def _normalize(leaf: object) -> object:
    """Replace UUIDs, and sort the peers of a raft configuration."""
    if not isinstance(leaf, str):
        return leaf
    text = _UUID.sub("<ID>", leaf)
    peers = sorted(_PEER.findall(text))
    return f"[{' '.join(peers)}]" if peers else text


_FORMATS = {
    "number": re.compile(r"[1-9]\d*"),
    "duration": re.compile(r"(\d+h)?(\d+m)?\d+(\.\d+)?s|\d+(\.\d+)?(ms|µs|ns)"),
    "time": re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
}
_ABSENT_VALUES = frozenset({"0", "0s", "", "never", "-1ns"})


def format_of(leaf: object) -> str:
    """Return the JSON type or Nomad's text format of a value; values that mean "none" have a format of their own."""
    if isinstance(leaf, str) and leaf not in _ABSENT_VALUES:
        return next((name for name, pattern in _FORMATS.items() if pattern.fullmatch(leaf)), "text")
    return repr(leaf) if isinstance(leaf, str) or leaf in (None, 0) else type(leaf).__name__
