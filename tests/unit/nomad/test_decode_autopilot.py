"""``autopilot``: what the leader thinks of each server, and a broken server costs only itself."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import decode_autopilot
from nomad_exporter.nomad.lenient import ERRORS, TooMany
from nomad_exporter.nomad.models import Autopilot, AutopilotServer
from nomad_exporter.nomad.sources import AUTOPILOT_PATH
from tests.support.answers import recorded
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if AUTOPILOT_PATH in s.answers]

S1: dict[str, Any] = {
    "ID": "41cc56e1",
    "Name": "s1.global",
    "Address": "10.0.0.1:4647",
    "Healthy": True,
    "Voter": True,
}
S2 = {**S1, "ID": "bf642eea", "Name": "s2.global", "Address": "10.0.0.2:4647"}


def decoded(*servers: Any, **more: Any) -> Autopilot:
    return decode_autopilot.decode(json.dumps({"Healthy": True, "Servers": servers, **more}).encode())


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_answer_is_read_without_a_flaw(name: str) -> None:
    body = recorded(name, AUTOPILOT_PATH).body
    told, answer = json.loads(body), decode_autopilot.decode(body)

    assert (answer.healthy, answer.failure_tolerance) == (told["Healthy"], told["FailureTolerance"])
    assert {(one.id, one.name, one.address, one.healthy, one.voter) for one in answer.servers} == {
        (one["ID"], one["Name"], one["Address"], one["Healthy"], one["Voter"]) for one in told["Servers"]
    }
    assert answer.invalid_fields == ()


@pytest.mark.parametrize("version", ["2.0.5", "1.10.5", "1.6.10", "1.2.16"])
def test_an_answer_was_recorded_of_every_version(version: str) -> None:
    assert [name for name in RECORDED if name.startswith(f"{version}/")]


def test_all_that_is_told_of_a_server_is_read() -> None:
    assert decoded({**S1, "Healthy": False}, FailureTolerance=1) == Autopilot(
        healthy=True,
        failure_tolerance=1,
        servers=(AutopilotServer("41cc56e1", "s1.global", "10.0.0.1:4647", healthy=False, voter=True),),
    )


def test_servers_stand_in_the_order_of_their_names_whatever_order_they_came_in() -> None:
    assert decoded(S2, S1) == decoded(S1, S2)


def test_of_what_is_not_told_nothing_is_made_up() -> None:
    answer = decoded({"ID": "41cc56e1", "Healthy": True})

    assert answer == Autopilot(healthy=True, servers=(AutopilotServer("41cc56e1", healthy=True),))


@pytest.mark.parametrize("body", [b'{"Healthy": false, "Servers": null}', b'{"Healthy": false}'], ids=["null", "none"])
def test_a_leader_whose_autopilot_has_not_looked_yet_knows_no_server(body: bytes) -> None:
    assert decode_autopilot.decode(body) == Autopilot(healthy=False)


@pytest.mark.parametrize(
    ("part", "flaw"),
    [
        pytest.param({"Name": 7}, "Servers[].Name", id="a name that is a number"),
        pytest.param({"Address": ["10.0.0.1"]}, "Servers[].Address", id="an address that is a list"),
        pytest.param({"Name": "x" * 10_000}, "Servers[].Name", id="a name of 10 kB"),
        pytest.param({"Voter": "true"}, "Servers[].Voter", id="a vote in quotes"),
    ],
)
def test_a_broken_value_costs_only_itself(part: dict[str, Any], flaw: str) -> None:
    answer = decoded({**S1, **part}, S2)

    assert {server.id for server in answer.servers} == {"41cc56e1", "bf642eea"}
    assert answer.invalid_fields == (flaw,)


@pytest.mark.parametrize("tolerance", ["1", 1.5, True, 2**40], ids=repr)
def test_a_tolerance_that_is_no_count_costs_only_itself(tolerance: Any) -> None:
    answer = decoded(S1, FailureTolerance=tolerance)

    assert (answer.failure_tolerance, answer.invalid_fields) == (None, ("FailureTolerance",))
    assert [server.id for server in answer.servers] == ["41cc56e1"]


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(None, id="null"),
        pytest.param(7, id="a number"),
        pytest.param({}, id="nothing in it"),
        pytest.param({**S1, "ID": ""}, id="an empty ID"),
        pytest.param({**S1, "ID": None}, id="a null ID"),
        pytest.param({**S1, "ID": 7}, id="an ID that is a number"),
        pytest.param({**S1, "Healthy": None}, id="a null verdict"),
        pytest.param({**S1, "Healthy": "true"}, id="a verdict in quotes"),
    ],
)
def test_a_server_without_an_id_or_a_verdict_is_left_out_as_a_flaw(server: Any) -> None:
    answer = decoded(server, S2)

    assert [server.id for server in answer.servers] == ["bf642eea"]
    assert "Servers[]" in answer.invalid_fields


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**S2, "ID": S1["ID"]}, id="one ID"),
        pytest.param({**S1, "ID": "bf642eea"}, id="one name and address, which would be one series"),
    ],
)
def test_of_two_servers_that_are_one_the_first_stands(other: dict[str, Any]) -> None:
    answer = decoded(S1, {**other, "Healthy": False})

    assert [(server.id, server.healthy) for server in answer.servers] == [("41cc56e1", True)]
    assert answer.invalid_fields == ("Servers[]",)


def test_two_servers_of_one_name_are_two() -> None:
    answer = decoded({**S1, "Name": "(unknown)"}, {**S2, "Name": "(unknown)"})

    assert [server.address for server in answer.servers] == ["10.0.0.1:4647", "10.0.0.2:4647"]


def numbered(count: int) -> list[dict[str, Any]]:
    return [{**S1, "ID": f"id{number}", "Name": f"s{number}"} for number in range(count)]


def test_as_many_servers_as_any_configuration_has_are_read() -> None:
    assert len(decoded(*numbered(decode_autopilot.SERVERS_LIMIT)).servers) == decode_autopilot.SERVERS_LIMIT


def test_more_servers_than_any_configuration_has_are_refused_whole() -> None:
    with pytest.raises(TooMany, match="more than 100 servers"):
        decoded(*numbered(decode_autopilot.SERVERS_LIMIT + 1))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no verdict"),
        pytest.param(b'{"Healthy": null}', id="a null verdict"),
        pytest.param(b'{"Healthy": "true"}', id="a verdict in quotes"),
        pytest.param(b'{"Healthy": true, "Servers": {"s1": {}}}', id="servers by name"),
        pytest.param(b'{"Healthy": true, "Servers": [{"ID": "s1"}', id="an end that is missing"),
        pytest.param(b'{"Healthy": true, "Servers": [' + b"[" * 100_000, id="a deep nest"),
    ],
)
def test_a_body_that_is_no_verdict_is_refused(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode_autopilot.decode(body)


KEYS = st.sampled_from(["ID", "Name", "Address", "Healthy", "Voter", "Servers", "FailureTolerance"]) | st.text()
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=6),
    max_leaves=15,
)
BODIES = st.binary() | st.dictionaries(KEYS, TREES, max_size=6).map(lambda tree: json.dumps(tree).encode())


@given(body=BODIES)
@settings(deadline=None)
def test_any_body_is_an_answer_or_refused(body: bytes) -> None:
    with contextlib.suppress(*ERRORS):
        answer = decode_autopilot.decode(body)
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
def test_whatever_servers_are_told_every_id_and_every_place_is_there_once(servers: list[dict[str, Any]]) -> None:
    found = decoded(*servers).servers

    assert len({server.id for server in found}) == len({(one.name, one.address) for one in found}) == len(found)
