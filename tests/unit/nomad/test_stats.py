"""Stats: how the text of each kind is read, and how the kind of an unknown one is learned."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import stats
from nomad_exporter.nomad.stats import Kind, Number


def test_no_stat_stands_in_the_table_twice() -> None:
    paths = [stat.path for stat in stats.STATS]

    assert len(paths) == len(set(paths))


def test_every_stat_is_of_a_group_that_is_read() -> None:
    assert {stat.group for stat in stats.STATS} == set(stats.GROUPS)


@pytest.mark.parametrize("stat", [s for s in stats.STATS if s.kind is not Kind.TEXT], ids=lambda s: str(s.path))
def test_every_stat_that_becomes_a_family_is_explained_in_a_sentence(stat: stats.Stat) -> None:
    assert stat.help[:1].isupper()
    assert stat.help.endswith(".")


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        pytest.param(Kind.NUMBER, "0", 0, id="zero"),
        pytest.param(Kind.NUMBER, "1234", 1234, id="an index"),
        pytest.param(Kind.NUMBER, "-1", -1, id="a negative number"),
        pytest.param(Kind.NUMBER, "0.5", 0.5, id="a fraction"),
        pytest.param(Kind.NUMBER, "18446744073709551615", 2**64 - 1, id="the greatest index, to its last digit"),
        pytest.param(Kind.BOOL, "true", 1, id="true"),
        pytest.param(Kind.BOOL, "false", 0, id="false"),
        pytest.param(Kind.DURATION, "37.821µs", 3.7821e-05, id="a duration"),
        pytest.param(Kind.TIME, "2026-01-02T03:04:05Z", 1767323045.0, id="a time"),
        pytest.param(Kind.TIME, "2026-01-02T03:04:05+01:00", 1767319445.0, id="a time of another zone"),
    ],
)
def test_a_text_is_read_as_its_kind(kind: Kind, text: str, number: Number) -> None:
    assert stats.read(kind, text) == number


def test_an_index_stays_an_integer() -> None:
    assert isinstance(stats.read(Kind.NUMBER, "9007199254740993"), int)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(Kind.NUMBER, "", id="no number"),
        pytest.param(Kind.NUMBER, "NaN", id="not a number"),
        pytest.param(Kind.NUMBER, "+Inf", id="infinity"),
        pytest.param(Kind.NUMBER, "1e3", id="an exponent"),
        pytest.param(Kind.NUMBER, "1_000", id="an underscore"),
        pytest.param(Kind.NUMBER, " 1", id="a space"),
        pytest.param(Kind.NUMBER, "1\n", id="a line feed"),
        pytest.param(Kind.NUMBER, "0x10", id="a hexadecimal number"),
        pytest.param(Kind.NUMBER, "٣", id="a digit of another script"),
        pytest.param(Kind.NUMBER, "1" * 21, id="more digits than an index has"),
        pytest.param(Kind.BOOL, "True", id="a truth in upper case"),
        pytest.param(Kind.BOOL, "1", id="a truth as a number"),
        pytest.param(Kind.DURATION, "never", id="no duration"),
        pytest.param(Kind.TIME, "2026-01-02T03:04:05", id="a time without its zone"),
        pytest.param(Kind.TIME, "soon", id="no time"),
    ],
)
def test_a_text_of_another_kind_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        stats.read(kind, text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("7", Kind.NUMBER, id="a number"),
        pytest.param("0.0", Kind.NUMBER, id="a zero with decimals"),
        pytest.param("true", Kind.BOOL, id="a truth"),
        pytest.param("1m30s", Kind.DURATION, id="a duration"),
        pytest.param("0s", Kind.DURATION, id="a duration of zero"),
        pytest.param("0", None, id="zero proves nothing, for a duration can be written so"),
        pytest.param("boltdb", None, id="a word proves nothing"),
        pytest.param("", None, id="no text proves nothing"),
    ],
)
def test_the_kind_of_an_unknown_stat_is_what_its_value_proves(text: str, kind: Kind | None) -> None:
    assert stats.infer_kind(text) is kind


def test_what_a_value_proves_is_learned() -> None:
    learned = stats.learn({}, {"raft.waits": "12ms", "raft.backend": "wal"})

    assert learned == {"raft.waits": Kind.DURATION}


def test_a_stat_that_was_zero_first_is_learned_from_its_first_telling_value() -> None:
    first = stats.learn({}, {"raft.waits": "0"})
    second = stats.learn(first, {"raft.waits": "12ms"})

    assert first == {}
    assert second == {"raft.waits": Kind.DURATION}


def test_the_first_proof_stands() -> None:
    known = {"raft.waits": Kind.DURATION}

    assert stats.learn(known, {"raft.waits": "7"}) == known


def test_a_stat_that_is_not_told_this_time_stays_known() -> None:
    learned = stats.learn({"raft.waits": Kind.DURATION}, {"serf.joins": "7"})

    assert learned == {"raft.waits": Kind.DURATION, "serf.joins": Kind.NUMBER}


def test_an_agent_that_makes_up_ever_new_stats_is_not_learned_from_without_end() -> None:
    known: Mapping[str, Kind] = {}
    for poll in range(1000):
        known = stats.learn(known, {f"raft.key_{poll}": "7"})

    assert len(known) == stats.KINDS_LIMIT


@given(text=st.text() | st.text(alphabet="0123456789.-+:TZhmsµtruefals"))
@settings(deadline=None)
def test_a_kind_is_proved_only_by_a_text_that_can_be_read_as_it(text: str) -> None:
    kind = stats.infer_kind(text)

    assert kind is None or isinstance(stats.read(kind, text), int | float)
