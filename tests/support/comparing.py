"""What the recorded agents were asked, asked of the simulated ones in the same situation; how the answers differ."""

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

PATIENCE = 12.0
"""Seconds that the recorder waited for an answer."""

NO_HEADER_OF_OURS = frozenset({"date", "content-length", "transfer-encoding", "connection"})
"""Headers that are of the moment, or of the way in which an answer is sent."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and after how many seconds it was there; without a status none came."""

    status: int | None
    headers: Mapping[str, str]
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded answer. ``place`` is its file, such as ``2.0.5/healthy/s1-follower/self.json``."""

    place: str
    request: str
    date: str
    is_stream: bool
    told: Told

    @property
    def parts(self) -> tuple[str, ...]:
        """Version, scenario, agent, name."""
        return Path(self.place).parts

    @property
    def client_timeout(self) -> float:
        """How long who recorded it waited, in seconds."""
        return round(self.told.seconds) if self.is_stream or self.told.status is None else PATIENCE


_ELSE = "everything else"
_ORDER = (
    "self.json",
    "members.json",
    "servers.json",
    "health.json",
    "health-stale.json",
    _ELSE,
    "servers-update.json",
    "servers-after-update.json",
    "join.json",
)
"""In which an agent was asked, and what changes something last."""

HELD = 4.0
"""After so many seconds an answer has been held; Nomad holds one for five."""

TRIES = 30
"""How often a question is asked again at most, until chance decides as it did when it was recorded."""


@cache
def recordings() -> tuple[Recording, ...]:
    """All of them, by place."""
    return tuple(_read(path) for path in sorted(FOLDER.rglob("*.json")))


def _read(path: Path) -> Recording:
    recorded: dict[str, Any] = json.loads(path.read_text())
    headers = {name.lower(): value for name, value in recorded.get("headers", {}).items()}
    body = json.dumps(recorded["json"]) if "json" in recorded else recorded.get("text", "")
    is_stream = "/monitor?" in recorded["request"] and recorded.get("status") != 400
    place = str(path.relative_to(FOLDER))
    told = Told(recorded.get("status"), headers, body, recorded["seconds"])
    return Recording(place, recorded["request"], headers.get("date", "~"), is_stream, told)


@cache
def differences(build: str, scenario: str) -> Mapping[str, frozenset[str]]:
    """In what each answer in a situation differs from what was recorded, by place."""
    with serve_cluster_manually(play_scenario(build, scenario)) as sim:
        return {one.place: _differences(sim, one) for one in _in_order(build, scenario)}


def _in_order(build: str, scenario: str) -> list[Recording]:
    """One agent after the other, as they were asked."""
    here = [one for one in recordings() if one.parts[:2] == (build, scenario)]
    started = {one.parts[2]: min(other.date for other in here if other.parts[2] == one.parts[2]) for one in here}
    return sorted(here, key=lambda one: (started[one.parts[2]], one.parts[2], _turn(one.parts[3]), one.place))


def _turn(name: str) -> int:
    return _ORDER.index(name if name in _ORDER else _ELSE)


def _differences(sim: ManualSimCluster, recording: Recording) -> frozenset[str]:
    """The fewest, where chance has a part in it."""
    found = frozenset(compared(recording, _request(sim, recording)))
    for _ in range(TRIES):
        if not _is_by_chance(recording, found):
            break
        again = frozenset(compared(recording, _request(sim, recording)))
        found = min(found, again, key=lambda one: (len(one & _SILENCE), len(one)))
    return found


_SILENCE = frozenset({"answer", "no answer"})


def _is_by_chance(recording: Recording, found: frozenset[str]) -> bool:
    """Which of its servers a client asks, and whether anything is logged while a log is watched."""
    if recording.is_stream:
        return bool(found & _SILENCE)
    return bool(found) and recording.place.endswith("-client/members.json")


def _request(sim: ManualSimCluster, recording: Recording) -> Told:
    method, target = recording.request.split(" ", 1)
    folder = recording.parts[2]
    token = TOKENS.get(folder, "") if recording.parts[1].startswith("acl") else ""
    output = {"Authorization": f"Bearer {token}"} if folder == "bearer" else {"X-Nomad-Token": token} if token else {}
    sim.client_timeout = recording.client_timeout
    started = sim.cluster.world.now
    told = _response(method, f"{sim.url(member_of(folder))}{target}", output)
    sim.advance(0)
    return replace(told, seconds=sim.cluster.world.now - started)


def _response(method: str, url: str, output: Mapping[str, str]) -> Told:
    """None, where the connection was cut; it is a fault of the test where there was none."""
    try:
        with requests.request(method, url, headers=output, stream=True, timeout=PATIENCE) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Told(response.status_code, headers, _body(response), 0.0)
    except requests.ConnectionError as error:
        if not isinstance(error.args[0], ProtocolError):
            raise
        return Told(None, {}, "", 0.0)


def _body(response: requests.Response) -> str:
    """As far as it came."""
    pieces: list[bytes] = []
    with suppress(requests.exceptions.ChunkedEncodingError):
        pieces.extend(response.iter_content(None))
    return b"".join(pieces).decode()


def compared(recording: Recording, found: Told) -> Iterator[str]:
    """Each difference: ``no answer``, ``answer``, ``status …``, ``header …``, ``held``, ``not held``, or of the body.

    In the body something is ``missing …`` or ``extra …``, or else it is the ``form of …`` a value, or only the
    ``value of …``.
    """
    told = recording.told
    if None in (told.status, found.status):
        if told.status != found.status:
            yield "no answer" if found.status is None else "answer"
        return
    if told.status != found.status:
        yield f"status {found.status} for {told.status}"
    if not recording.is_stream and (told.seconds >= HELD) != (found.seconds >= HELD):
        yield "held" if found.seconds >= HELD else "not held"
    yield from _headers(told.headers, found.headers)
    read = _of_stream if recording.is_stream else _of_text
    yield from _leaves(dict(_flat(read(told.text))), dict(_flat(read(found.text))))


def _headers(told: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name in sorted((told.keys() | found.keys()) - NO_HEADER_OF_OURS):
        if told.get(name) != found.get(name):
            yield f"header {name}: {found.get(name)} for {told.get(name)}"


def _leaves(told: Mapping[str, object], found: Mapping[str, object]) -> Iterator[str]:
    yield from (f"missing {path}" for path in told.keys() - found.keys())
    yield from (f"extra {path}" for path in found.keys() - told.keys())
    for path in told.keys() & found.keys():
        if told[path] != found[path]:
            yield f"{'value' if form(told[path]) == form(found[path]) else 'form'} of {path}"


def _of_text(text: str) -> object:
    """JSON wherever it can be read so."""
    try:
        return json.loads(text)
    except ValueError:
        return {"text": _ADDRESS.sub("<address>", text)}


def _of_stream(text: str) -> object:
    """What kinds of frames there are, and of lines."""
    if not text.startswith("{"):
        return {"lines": _forms_of_lines(text)}
    return {
        _kind(one): {key: _form_of_field(key, value) for key, value in one.items() if key in _FIELDS}
        for one in _objects(text)
    }


_FIELDS = ("Data", "FileEvent", "@level", "@message", "@module", "@timestamp")
"""What every frame with data has, and every line of JSON; an offset, only some."""


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """With nothing between them, or a line each."""
    decoder = json.JSONDecoder()
    rest = text
    while rest:
        found, end = decoder.raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()


def _kind(frame: Mapping[str, Any]) -> str:
    return "line" if "@message" in frame else "frame" if frame else "heartbeat"


def _form_of_field(key: str, value: Any) -> object:
    if key == "Data":
        return _forms_of_lines(b64decode(value).decode())
    return value if key == "FileEvent" else form(value)


def _forms_of_lines(text: str) -> str:
    """A value of several lines is set in."""
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    return "log lines" if lines and all(map(_LINE.fullmatch, lines)) else text


_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[(TRACE|DEBUG|INFO|WARN|ERROR)\] {1,2}[a-z_.]+: \S.*")
_ADDRESS = re.compile(r"127\.0\.\d+\.\d+:4647")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PEER = re.compile(r"\{Suffrage:[^}]*\}")


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of a JSON value by their paths; what has a name stands by its name in a list."""
    if value and isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}" if path else key)
    elif value and isinstance(value, list):
        for key, one in _keyed(value):
            yield from _flat(one, f"{path}.{key}" if path else key)
    else:
        yield path, _plain(value)


def _keyed(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """The order of texts says nothing: that of the peers is by chance."""
    for number, value in enumerate(sorted(values) if isinstance(values[0], str) else values):
        yield (value["Name"] if isinstance(value, dict) and "Name" in value else str(number)), value


def _plain(leaf: object) -> object:
    """Without the IDs, which are made by chance, and the peers of a raft configuration in order."""
    if not isinstance(leaf, str):
        return leaf
    text = _UUID.sub("<ID>", leaf)
    peers = sorted(_PEER.findall(text))
    return f"[{' '.join(peers)}]" if peers else text


_FORMS = {
    "number": re.compile(r"[1-9]\d*"),
    "duration": re.compile(r"(\d+h)?(\d+m)?\d+(\.\d+)?s|\d+(\.\d+)?(ms|µs|ns)"),
    "time": re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
}
_OF_THEIR_OWN = frozenset({"0", "0s", "", "never", "-1ns"})


def form(leaf: object) -> str:
    """The form of a value: of JSON, or of Nomad's texts. What says that there is nothing is a form of its own."""
    if isinstance(leaf, str) and leaf not in _OF_THEIR_OWN:
        return next((name for name, pattern in _FORMS.items() if pattern.fullmatch(leaf)), "text")
    return repr(leaf) if isinstance(leaf, str) or leaf in (None, 0) else type(leaf).__name__
