"""``autopilot``: the health of each server; an invalid server loses only itself."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.lenient import ERRORS, TooMany
from nomad_exporter.nomad.models import Autopilot, AutopilotServer
from nomad_exporter.nomad.sources import AUTOPILOT, Reply
from nomad_exporter.nomad.sources.autopilot import SERVERS_LIMIT
from tests.support.answers import recorded
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if AUTOPILOT.path in s.answers]

S1: dict[str, Any] = {
    "ID": "41cc56e1",
    "Name": "s1.global",
    "Address": "10.0.0.1:4647",
    "Healthy": True,
    "Voter": True,
}
S2 = {**S1, "ID": "bf642eea", "Name": "s2.global", "Address": "10.0.0.2:4647"}


def decode(body: bytes) -> Autopilot:
    return AUTOPILOT.decode(Reply(200, body))


def decoded(*servers: Any, **more: Any) -> Autopilot:
    return decode(json.dumps({"Healthy": True, "Servers": servers, **more}).encode())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_have_no_invalid_fields(name: str) -> None:
    body = recorded(name, AUTOPILOT.path).body
    content, answer = json.loads(body), decode(body)

    assert (answer.healthy, answer.failure_tolerance) == (content["Healthy"], content["FailureTolerance"])
    assert {(s.id, s.name, s.address, s.healthy, s.voter) for s in answer.servers} == {
        (s["ID"], s["Name"], s["Address"], s["Healthy"], s["Voter"]) for s in content["Servers"]
    }
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("version", ["2.0.5", "1.10.5", "1.6.10", "1.2.16"])
def test_every_version_has_a_recording(version: str) -> None:
    assert [name for name in RECORDED if name.startswith(f"{version}/")]


def test_server_is_decoded_with_all_fields() -> None:
    assert decoded({**S1, "Healthy": False}, FailureTolerance=1) == Autopilot(
        healthy=True,
        failure_tolerance=1,
        servers=(AutopilotServer("41cc56e1", "s1.global", "10.0.0.1:4647", healthy=False, voter=True),),
    )


def test_servers_are_sorted_by_name() -> None:
    assert decoded(S2, S1) == decoded(S1, S2)


def test_missing_fields_stay_empty() -> None:
    answer = decoded({"ID": "41cc56e1", "Healthy": True})

    assert answer == Autopilot(healthy=True, servers=(AutopilotServer("41cc56e1", healthy=True),))


@pytest.mark.parametrize(
    "body", [b'{"Healthy": false, "Servers": null}', b'{"Healthy": false}'], ids=["null", "missing"]
)
def test_answer_without_servers_is_decoded(body: bytes) -> None:
    assert decode(body) == Autopilot(healthy=False)


@pytest.mark.parametrize(
    ("fields", "invalid"),
    [
        pytest.param({"Name": 7}, "Servers[].Name", id="name is a number"),
        pytest.param({"Address": ["10.0.0.1"]}, "Servers[].Address", id="address is a list"),
        pytest.param({"Name": "x" * 10_000}, "Servers[].Name", id="name of 10 kB"),
        pytest.param({"Voter": "true"}, "Servers[].Voter", id="voter is a text"),
    ],
)
def test_invalid_field_loses_only_its_value(fields: dict[str, Any], invalid: str) -> None:
    answer = decoded({**S1, **fields}, S2)

    assert {server.id for server in answer.servers} == {"41cc56e1", "bf642eea"}
    assert answer.invalid_fields == (invalid,)


@pytest.mark.parametrize("tolerance", ["1", 1.5, True, 2**40], ids=repr)
def test_invalid_failure_tolerance_loses_only_its_value(tolerance: Any) -> None:
    answer = decoded(S1, FailureTolerance=tolerance)

    assert (answer.failure_tolerance, answer.invalid_fields) == (None, ("FailureTolerance",))
    assert [server.id for server in answer.servers] == ["41cc56e1"]


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(None, id="null"),
        pytest.param(7, id="number"),
        pytest.param({}, id="empty object"),
        pytest.param({**S1, "ID": ""}, id="empty ID"),
        pytest.param({**S1, "ID": None}, id="null ID"),
        pytest.param({**S1, "ID": 7}, id="ID is a number"),
        pytest.param({**S1, "Healthy": None}, id="null health"),
        pytest.param({**S1, "Healthy": "true"}, id="health is a text"),
    ],
)
def test_server_without_id_or_health_is_skipped(server: Any) -> None:
    answer = decoded(server, S2)

    assert [server.id for server in answer.servers] == ["bf642eea"]
    assert "Servers[]" in answer.invalid_fields


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**S2, "ID": S1["ID"]}, id="same ID"),
        pytest.param({**S1, "ID": "bf642eea"}, id="same name and address, hence the same series"),
    ],
)
def test_first_of_duplicate_servers_wins(other: dict[str, Any]) -> None:
    answer = decoded(S1, {**other, "Healthy": False})

    assert [(server.id, server.healthy) for server in answer.servers] == [("41cc56e1", True)]
    assert answer.invalid_fields == ("Servers[]",)


def test_servers_with_same_name_are_kept() -> None:
    answer = decoded({**S1, "Name": "(unknown)"}, {**S2, "Name": "(unknown)"})

    assert [server.address for server in answer.servers] == ["10.0.0.1:4647", "10.0.0.2:4647"]


def numbered(count: int) -> list[dict[str, Any]]:
    return [{**S1, "ID": f"id{number}", "Name": f"s{number}"} for number in range(count)]


def test_servers_up_to_limit_are_decoded() -> None:
    assert len(decoded(*numbered(SERVERS_LIMIT)).servers) == SERVERS_LIMIT


def test_more_servers_than_limit_are_rejected() -> None:
    with pytest.raises(TooMany, match="more than 100 servers"):
        decoded(*numbered(SERVERS_LIMIT + 1))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no verdict"),
        pytest.param(b'{"Healthy": null}', id="null verdict"),
        pytest.param(b'{"Healthy": "true"}', id="verdict is a text"),
        pytest.param(b'{"Healthy": true, "Servers": {"s1": {}}}', id="servers are an object"),
        pytest.param(b'{"Healthy": true, "Servers": [{"ID": "s1"}', id="truncated"),
        pytest.param(b'{"Healthy": true, "Servers": [' + b"[" * 100_000, id="deeply nested"),
    ],
)
def test_body_without_verdict_is_rejected(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode(body)


KEYS = st.sampled_from(["ID", "Name", "Address", "Healthy", "Voter", "Servers", "FailureTolerance"]) | st.text()
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=6),
    max_leaves=15,
)
BODIES = st.binary() | st.dictionaries(KEYS, TREES, max_size=6).map(lambda tree: json.dumps(tree).encode())


@given(body=BODIES)
@settings(deadline=None)
def test_any_body_is_decoded_or_rejected(body: bytes) -> None:
    with contextlib.suppress(*ERRORS):
        answer = decode(body)
        assert all(server.id for server in answer.servers)


@given(
    servers=st.lists(
        st.fixed_dictionaries(
            {"ID": st.sampled_from("abc"), "Healthy": st.booleans()},
            optional={"Name": TREES, "Address": TREES, "Voter": TREES},
        ),
        max_size=8,
    )
)
@settings(deadline=None)
def test_ids_and_addresses_are_unique(servers: list[dict[str, Any]]) -> None:
    decoded_servers = decoded(*servers).servers
    ids = {server.id for server in decoded_servers}
    addresses = {(server.name, server.address) for server in decoded_servers}

    assert len(ids) == len(addresses) == len(decoded_servers)
