"""Stats: parsing of each kind, and learning the kind of an unknown stat."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import stats
from nomad_exporter.nomad.stats import Kind, Number


def test_stats_have_unique_paths() -> None:
    paths = [stat.path for stat in stats.STATS]

    assert len(paths) == len(set(paths))


def test_stats_belong_to_known_groups() -> None:
    assert {stat.group for stat in stats.STATS} == set(stats.GROUPS)


@pytest.mark.parametrize("stat", [s for s in stats.STATS if s.kind is not Kind.TEXT], ids=lambda s: str(s.path))
def test_help_of_exported_stat_is_a_short_sentence(stat: stats.Stat) -> None:
    assert stat.help[:1].isupper()
    assert stat.help.endswith(".")
    assert len(stat.help) <= 90


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        pytest.param(Kind.NUMBER, "0", 0, id="zero"),
        pytest.param(Kind.NUMBER, "1234", 1234, id="index"),
        pytest.param(Kind.NUMBER, "-1", -1, id="negative number"),
        pytest.param(Kind.NUMBER, "0.5", 0.5, id="fraction"),
        pytest.param(Kind.NUMBER, "18446744073709551615", 2**64 - 1, id="greatest index, exactly"),
        pytest.param(Kind.BOOL, "true", 1, id="true"),
        pytest.param(Kind.BOOL, "false", 0, id="false"),
        pytest.param(Kind.DURATION, "37.821µs", 3.7821e-05, id="duration"),
        pytest.param(Kind.TIME, "2026-01-02T03:04:05Z", 1767323045.0, id="time"),
        pytest.param(Kind.TIME, "2026-01-02T03:04:05+01:00", 1767319445.0, id="time in another zone"),
    ],
)
def test_text_is_parsed_as_its_kind(kind: Kind, text: str, number: Number) -> None:
    assert stats.read(kind, text) == number


def test_large_index_stays_an_integer() -> None:
    assert isinstance(stats.read(Kind.NUMBER, "9007199254740993"), int)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(Kind.NUMBER, "", id="empty"),
        pytest.param(Kind.NUMBER, "NaN", id="NaN"),
        pytest.param(Kind.NUMBER, "+Inf", id="infinity"),
        pytest.param(Kind.NUMBER, "1e3", id="exponent"),
        pytest.param(Kind.NUMBER, "1_000", id="underscore"),
        pytest.param(Kind.NUMBER, " 1", id="space"),
        pytest.param(Kind.NUMBER, "1\n", id="line feed"),
        pytest.param(Kind.NUMBER, "0x10", id="hexadecimal number"),
        pytest.param(Kind.NUMBER, "٣", id="digit of another script"),
        pytest.param(Kind.NUMBER, "1" * 21, id="too many digits"),
        pytest.param(Kind.BOOL, "True", id="boolean in upper case"),
        pytest.param(Kind.BOOL, "1", id="boolean as a number"),
        pytest.param(Kind.DURATION, "never", id="not a duration"),
        pytest.param(Kind.TIME, "2026-01-02T03:04:05", id="time without a zone"),
        pytest.param(Kind.TIME, "soon", id="not a time"),
    ],
)
def test_text_of_another_kind_is_rejected(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        stats.read(kind, text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("7", Kind.NUMBER, id="number"),
        pytest.param("0.0", Kind.NUMBER, id="zero with decimals"),
        pytest.param("true", Kind.BOOL, id="boolean"),
        pytest.param("1m30s", Kind.DURATION, id="duration"),
        pytest.param("0s", Kind.DURATION, id="zero with a unit"),
        pytest.param("0", None, id="zero without a unit, number or duration"),
        pytest.param("boltdb", None, id="word"),
        pytest.param("", None, id="empty"),
    ],
)
def test_kind_is_inferred_from_value(text: str, kind: Kind | None) -> None:
    assert stats.infer_kind(text) is kind


def test_inferred_kind_is_learned() -> None:
    learned = stats.learn({}, {"raft.waits": "12ms", "raft.backend": "wal"})

    assert learned == {"raft.waits": Kind.DURATION}


def test_kind_is_learned_from_first_unambiguous_value() -> None:
    first = stats.learn({}, {"raft.waits": "0"})
    second = stats.learn(first, {"raft.waits": "12ms"})

    assert first == {}
    assert second == {"raft.waits": Kind.DURATION}


def test_learned_kind_never_changes() -> None:
    known = {"raft.waits": Kind.DURATION}

    assert stats.learn(known, {"raft.waits": "7"}) == known


def test_learned_kind_survives_missing_stat() -> None:
    learned = stats.learn({"raft.waits": Kind.DURATION}, {"serf.joins": "7"})

    assert learned == {"raft.waits": Kind.DURATION, "serf.joins": Kind.NUMBER}


def test_number_of_learned_kinds_is_limited() -> None:
    known: Mapping[str, Kind] = {}
    for poll in range(1000):
        known = stats.learn(known, {f"raft.key_{poll}": "7"})

    assert len(known) == stats.KINDS_LIMIT


@given(text=st.text() | st.text(alphabet="0123456789.-+:TZhmsµtruefals"))
@settings(deadline=None)
def test_inferred_kind_can_parse_the_text(text: str) -> None:
    kind = stats.infer_kind(text)

    assert kind is None or isinstance(stats.read(kind, text), int | float)
