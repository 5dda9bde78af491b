"""The catalogue: names and labels that clash with nothing, short HELP texts, and the helpers that build samples."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from nomad_exporter.metrics.families.verdicts import CLUSTERS
from nomad_exporter.metrics.family import Family, Format, counts, info, one, states
from nomad_exporter.metrics.render import CATALOGUE
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.sources import SOURCES

FAMILIES: list[Family[Any]] = [family for table in CATALOGUE for family in table]

OWN_PAGE = SelfMetrics().page(Format.TEXT).decode()

OWN = dict(re.findall(r"^# TYPE (\S+) (\S+)$", OWN_PAGE, re.MULTILINE))
"""The types of the exporter's own families by name."""

OWN_HELP = dict(re.findall(r"^# HELP (nomad_exporter_\S+) (.*)$", OWN_PAGE, re.MULTILINE))
"""The HELP texts of the exporter's own families, those of prometheus_client's collectors excluded."""

HELP = {**{family.name: family.help for family in FAMILIES}, **OWN_HELP}

TYPES = {**{family.name: family.type for family in FAMILIES}, **OWN}

NOMADS_OWN = {"nomad_agent_tls_ca_expiration_seconds", "nomad_agent_tls_cert_expiration_seconds"}
"""All metrics with our prefixes on Nomad's own /v1/metrics, by the source of Nomad 0.7 to 2.0; since 1.11.3."""

TARGET_LABELS = {"job", "instance", "namespace", "pod", "container", "service", "node", "endpoint", "cluster", "region"}
"""Labels that Prometheus or its operator sets on a target; Prometheus would rename ours to ``exported_…``."""

ORIGIN = re.compile(
    rf"[A-Z0-9].*[^.]\. \((configuration|polls|changes|verdict|cluster|({'|'.join(map(str, SOURCES))}): .+)\)"
)


def test_names_do_not_clash_with_the_telemetry_of_nomad() -> None:
    foreign = [name for name in TYPES if not re.match("nomad_(agent|cluster|exporter)_|(process|python)_", name)]

    assert foreign == []
    assert NOMADS_OWN & TYPES.keys() == set()


def test_only_counters_end_in_total() -> None:
    assert [name for name, kind in TYPES.items() if name.endswith("_total") != (kind == "counter")] == []


def test_no_name_ends_like_a_histogram_series() -> None:
    assert [name for name in TYPES if name.endswith(("_count", "_sum", "_bucket", "_created"))] == []


def test_names_are_unique_even_without_total() -> None:
    names = Counter(name.removesuffix("_total") for name in (*(family.name for family in FAMILIES), *OWN))

    assert [name for name, times in names.items() if times > 1] == []


def test_names_and_labels_are_snake_case() -> None:
    names = [name for family in FAMILIES for name in (family.name, *family.labels)]

    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)] == []


def test_no_label_is_a_target_label() -> None:
    assert [family.name for family in FAMILIES if TARGET_LABELS & {*family.labels}] == []


def test_labels_of_a_family_are_unique() -> None:
    labels = {family.name: ("agent", "nomad_cluster", *family.labels) for family in FAMILIES if family not in CLUSTERS}
    of_clusters = {family.name: family.labels for family in CLUSTERS}

    assert [name for name, names in {**labels, **of_clusters}.items() if len(set(names)) < len(names)] == []


@pytest.mark.parametrize(("name", "text"), HELP.items(), ids=HELP)
def test_help_is_one_short_line(name: str, text: str) -> None:
    assert len(text) <= 90, name
    assert re.fullmatch(r"[A-Z].*\.", text), name


def test_every_help_ends_with_the_origin_of_the_value() -> None:
    assert [family.header.help for family in FAMILIES if not ORIGIN.fullmatch(family.header.help)] == []


@pytest.mark.parametrize("number", [0, 0.0, -1, 3.5])
def test_known_number_is_one_sample(number: float) -> None:
    assert [*one(number)] == [((), number)]


def test_unknown_number_has_no_sample() -> None:
    assert [*one(None)] == []


def test_info_with_any_value_is_one_sample() -> None:
    assert [*info("linux", "")] == [(("linux", ""), 1)]


def test_empty_info_has_no_sample() -> None:
    assert [*info("", "")] == []


def test_current_state_is_1_and_others_are_0() -> None:
    assert [*states("b", ("a", "b", "c"))] == [(("a",), 0), (("b",), 1), (("c",), 0)]


def test_unknown_state_has_no_samples() -> None:
    assert [*states(None, ("a", "b"))] == []


def test_counts_include_zeros() -> None:
    assert [*counts(["b", "c", "b"], ("a", "b", "c"))] == [(("a",), 0), (("b",), 2), (("c",), 1)]
