"""The catalogue as users meet it: names and labels that clash with nothing, and helps that say whence a value comes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.family import Family, counts, info, one, states
from nomad_exporter.metrics.render import CATALOGUE
from nomad_exporter.metrics.self_metrics import SelfMetrics

FAMILIES: list[Family[Any]] = [family for table in CATALOGUE for family in table]

OWN = dict(re.findall(r"^# TYPE (\S+) (\S+)$", SelfMetrics().page(Format.TEXT).decode(), re.MULTILINE))
"""The types of the exporter's own families, by name."""

TYPES = {**{family.name: family.type for family in FAMILIES}, **OWN}

NOMADS_OWN = {"nomad_agent_tls_ca_expiration_seconds", "nomad_agent_tls_cert_expiration_seconds"}
"""All that Nomad's own /v1/metrics exports under our prefixes: of 0.7 to 2.0 read in the source, told since 1.11.3."""

OF_TARGETS = {"job", "instance", "namespace", "pod", "container", "service", "node", "endpoint", "cluster"}
"""Labels that Prometheus or its operator sets on a target: one of ours would become ``exported_…``."""

ORIGIN = re.compile(r"[A-Z0-9].*[^.]\. \((configuration|polls|changes|verdict|(self|members|health|autopilot): .+)\)")


def test_names_begin_as_those_of_nomads_telemetry_do_not_and_the_two_that_do_are_not_ours() -> None:
    strange = [name for name in TYPES if not re.match("nomad_(agent|exporter)_|(process|python)_", name)]

    assert strange == []
    assert NOMADS_OWN & TYPES.keys() == set()


def test_a_name_ends_in_total_where_it_is_a_counter_and_nowhere_else() -> None:
    assert [name for name, kind in TYPES.items() if name.endswith("_total") != (kind == "counter")] == []


def test_no_name_ends_as_a_part_of_a_histogram_does() -> None:
    assert [name for name in TYPES if name.endswith(("_count", "_sum", "_bucket", "_created"))] == []


def test_every_name_stands_once_also_where_openmetrics_takes_total_off() -> None:
    found = Counter(name.removesuffix("_total") for name in (*(family.name for family in FAMILIES), *OWN))

    assert [name for name, times in found.items() if times > 1] == []


def test_names_and_labels_are_plain_words() -> None:
    words = [word for family in FAMILIES for word in (family.name, *family.labels)]

    assert [word for word in words if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", word)] == []


def test_no_label_is_one_that_a_target_has() -> None:
    assert [family.name for family in FAMILIES if OF_TARGETS & {*family.labels}] == []


def test_no_label_stands_twice_beside_the_agents() -> None:
    assert [family.name for family in FAMILIES if len({"agent", *family.labels}) <= len(family.labels)] == []


def test_every_help_is_a_sentence_and_ends_with_the_origin_of_the_value() -> None:
    assert [family.header.help for family in FAMILIES if not ORIGIN.fullmatch(family.header.help)] == []


@pytest.mark.parametrize("number", [0, 0.0, -1, 3.5])
def test_a_number_that_is_known_is_one_sample_zero_included(number: float) -> None:
    assert [*one(number)] == [((), number)]


def test_a_number_that_is_not_known_is_no_sample() -> None:
    assert [*one(None)] == []


def test_an_info_is_one_sample_where_it_tells_anything() -> None:
    assert [*info("linux", "")] == [(("linux", ""), 1)]


def test_an_info_that_would_tell_nothing_is_no_sample() -> None:
    assert [*info("", "")] == []


def test_of_states_the_current_one_is_1_and_all_others_are_0() -> None:
    assert [*states("b", ("a", "b", "c"))] == [(("a",), 0), (("b",), 1), (("c",), 0)]


def test_of_a_state_that_is_not_known_nothing_is_said() -> None:
    assert [*states(None, ("a", "b"))] == []


def test_what_is_counted_has_its_zeros_too() -> None:
    assert [*counts(["b", "c", "b"], ("a", "b", "c"))] == [(("a",), 0), (("b",), 2), (("c",), 1)]
