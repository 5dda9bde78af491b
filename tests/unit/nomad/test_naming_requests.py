"""The node of a client: one bounded request for the name, and no name in any other body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.lenient import TEXT_LIMIT
from nomad_exporter.nomad.naming import decode_name, request_name
from nomad_exporter.nomad.sources import MIB, Reply
from tests.support.answers import REFUSED, FakeWire

NODE_ID = "c0ffee00-0000-4000-8000-000000000001"
PATH = f"/v1/node/{NODE_ID}?stale"
NODE = Reply(200, b'{"ID": "c0ffee00-0000-4000-8000-000000000001", "Name": "worker-17", "Status": "ready"}')


def test_name_is_requested_once_and_stale() -> None:
    wire = FakeWire({PATH: NODE})

    assert request_name(NODE_ID, wire.get, 0.5) == "worker-17"
    assert wire.requests == [(PATH, 0.5)]


def test_response_is_limited() -> None:
    limits = []

    def send(_: str, __: float, body_limit: int) -> Failure:
        limits.append(body_limit)
        return REFUSED

    assert request_name(NODE_ID, send, 0.5) == ""
    assert limits == [MIB]


@pytest.mark.parametrize(
    "node_id",
    ["", "n1", "../agent/self", f"{NODE_ID}/purge", f"{NODE_ID}?region=east", f"{NODE_ID}\n", NODE_ID.upper()],
)
def test_only_a_uuid_becomes_part_of_the_path(node_id: str) -> None:
    wire = FakeWire({})

    assert request_name(node_id, wire.get, 0.5) == ""
    assert wire.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(403, b"Permission denied"), id="denied"),
        pytest.param(Reply(404, b"node not found"), id="not registered"),
        pytest.param(Reply(500, b'{"Name": "worker-17"}'), id="error"),
        pytest.param(Reply(200, b""), id="empty body"),
        pytest.param(Reply(200, b"null"), id="null"),
        pytest.param(Reply(200, b"{}"), id="no name"),
        pytest.param(Reply(200, b'{"Name": null}'), id="null name"),
        pytest.param(Reply(200, b'{"Name": ["worker-17"]}'), id="list"),
        pytest.param(Reply(200, b'{"Name": 17}'), id="number"),
        pytest.param(Reply(200, b'{"Name": "\xff"}'), id="not UTF-8"),
        pytest.param(Reply(200, b'{"Name": "%b"}' % (b"x" * (TEXT_LIMIT + 1))), id="too long"),
        pytest.param(Reply(200, b"[" * 100_000), id="nested too deeply"),
        pytest.param(Reply(200, b"<html>"), id="another HTTP server"),
    ],
)
def test_reply_without_usable_name_is_no_name(reply: Reply) -> None:
    assert decode_name(reply) == ""


@given(st.binary())
def test_any_bytes_are_decoded_without_exception(body: bytes) -> None:
    assert isinstance(decode_name(Reply(200, body)), str)
