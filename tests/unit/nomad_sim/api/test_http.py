"""Responses in JSON and as text, query parameters, and booleans as Go parses them."""

from __future__ import annotations

import pytest

from nomad_sim.api.http import JSON, TEXT, ApiRequest, ApiResponse, error_response, json_response, parse_bool
from nomad_sim.versions import VERSIONS


def request_with(**parameters: list[str]) -> ApiRequest:
    return ApiRequest("GET", "/v1/agent/self", parameters, "", 0.0)


def test_json_is_compact() -> None:
    assert json_response({"a": [1, None], "b": "µ"}, request_with()) == ApiResponse(
        200, '{"a":[1,null],"b":"µ"}'.encode(), JSON
    )


@pytest.mark.parametrize("value", [[""], ["true"], ["false"]])
def test_pretty_with_any_value_indents_json_by_4(value: list[str]) -> None:
    reply = json_response({"a": [1]}, request_with(pretty=value))

    assert reply.body.decode() == '{\n    "a": [\n        1\n    ]\n}'


def test_first_of_several_values_is_used() -> None:
    assert request_with(node=["a", "b"]).first("node") == "a"


def test_missing_parameter_is_empty() -> None:
    assert request_with().first("node") == ""


@pytest.mark.parametrize(("series", "kind"), [("2.0", TEXT), ("1.10", TEXT), ("1.6", None), ("1.2", TEXT)])
def test_error_is_text_without_content_type_in_1_6(series: str, kind: str | None) -> None:
    assert error_response(VERSIONS[series], 403, "Permission denied") == ApiResponse(403, b"Permission denied", kind)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("1", "t", "T", "TRUE", "true", "True"), True),
        (("0", "f", "F", "FALSE", "false", "False"), False),
        (("yes", "tRUE", "2", "", " 1"), None),
    ],
)
def test_boolean_is_parsed_as_by_go(texts: tuple[str, ...], expected: bool | None) -> None:
    assert {parse_bool(text) for text in texts} == {expected}
