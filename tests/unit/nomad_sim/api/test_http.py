"""Answers: JSON as Nomad writes it, errors as text, and what Go takes for a truth."""

from __future__ import annotations

import pytest

from nomad_sim.api.http import JSON, TEXT, ApiRequest, ApiResponse, error_response, json_response, parse_bool
from nomad_sim.versions import VERSIONS


def target(**parameters: list[str]) -> ApiRequest:
    return ApiRequest("GET", "/v1/agent/self", parameters, "", 0.0)


def test_json_has_no_space_that_it_does_not_need() -> None:
    assert json_response({"a": [1, None], "b": "µ"}, target()) == ApiResponse(
        200, '{"a":[1,null],"b":"µ"}'.encode(), JSON
    )


@pytest.mark.parametrize("value", [[""], ["true"], ["false"]])
def test_pretty_json_is_indented_by_four_whatever_the_parameter_says(value: list[str]) -> None:
    reply = json_response({"a": [1]}, target(pretty=value))

    assert reply.body.decode() == '{\n    "a": [\n        1\n    ]\n}'


def test_the_first_of_several_values_counts() -> None:
    assert target(node=["a", "b"]).first("node") == "a"


def test_a_parameter_that_is_not_there_says_nothing() -> None:
    assert target().first("node") == ""


@pytest.mark.parametrize(("series", "kind"), [("2.0", TEXT), ("1.10", TEXT), ("1.6", None), ("1.2", TEXT)])
def test_an_error_is_a_text_to_which_one_version_gives_no_type(series: str, kind: str | None) -> None:
    assert error_response(VERSIONS[series], 403, "Permission denied") == ApiResponse(403, b"Permission denied", kind)


@pytest.mark.parametrize(
    ("texts", "is_true"),
    [
        (("1", "t", "T", "TRUE", "true", "True"), True),
        (("0", "f", "F", "FALSE", "false", "False"), False),
        (("yes", "tRUE", "2", "", " 1"), None),
    ],
)
def test_a_truth_is_what_go_takes_for_one(texts: tuple[str, ...], is_true: bool | None) -> None:
    assert {parse_bool(text) for text in texts} == {is_true}
