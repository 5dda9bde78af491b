"""Tests of a Raft server's log and its configurations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.raft_log import EMPTY, NONVOTER, VOTER, Configuration, Log, Peer

A, B, C = (Peer(name, f"{name}:4647") for name in "abc")
NONVOTER_C = Peer("c", "c:4647", NONVOTER)

TERMS = st.lists(st.integers(1, 5), max_size=12).map(sorted)


def log_with_terms(terms: list[int]) -> Log:
    """Return a log with one entry for each of these terms."""
    log = Log()
    for term in terms:
        log = log.append(term)
    return log


@given(TERMS)
def test_log_returns_term_of_each_entry(terms: list[int]) -> None:
    log = log_with_terms(terms)

    assert [log.term(index) for index in range(1, log.last + 1)] == terms
    assert log.last_term == (terms[-1] if terms else 0)


@given(TERMS)
def test_term_of_index_0_is_0(terms: list[int]) -> None:
    assert log_with_terms(terms).term(0) == 0


@given(TERMS)
def test_append_accepts_a_count_of_entries(terms: list[int]) -> None:
    log = Log()
    for term in sorted(set(terms)):
        log = log.append(term, terms.count(term))

    assert log == log_with_terms(terms)


@given(TERMS, st.integers(0, 15), st.integers(0, 6))
def test_log_matches_only_its_own_entries(terms: list[int], index: int, term: int) -> None:
    assert log_with_terms(terms).matches(index, term) is (index <= len(terms) and [0, *terms][index] == term)


def test_follower_replaces_conflicting_entries() -> None:
    leader_log = log_with_terms([1, 1, 3])

    assert log_with_terms([1, 1, 2, 2]).follow(leader_log) is leader_log
    assert log_with_terms([1]).follow(leader_log) is leader_log


def test_follower_with_leaders_last_entry_keeps_later_entries() -> None:
    longer = log_with_terms([1, 1, 3, 3])

    assert longer.follow(log_with_terms([1, 1, 3])) is longer


def test_new_log_has_empty_configuration() -> None:
    assert Log().configuration is EMPTY
    assert log_with_terms([1]).configuration is EMPTY


def test_log_uses_the_latest_configuration() -> None:
    log = Log().append(1, peers=[A]).append(1, 3).append(2, 2, peers=[A, B])

    assert log.configuration == Configuration(6, (A, B))
    assert log.append(2).configuration is log.configuration


def test_majority_counts_only_voters() -> None:
    configuration = Configuration(1, (A, B, NONVOTER_C))

    assert configuration.voters == ("a", "b")
    assert configuration.majority == 2
    assert [configuration.is_voter(name) for name in "abcd"] == [True, True, False, False]


def test_majority_is_more_than_half() -> None:
    assert [Configuration(1, (A, B, C)[:count]).majority for count in (1, 2, 3)] == [1, 2, 2]


def test_peer_is_found_by_id() -> None:
    configuration = Configuration(1, (A, NONVOTER_C))

    assert configuration.peer("c") is NONVOTER_C
    assert configuration.peer("b") is None


def test_configuration_without_a_peer() -> None:
    assert Configuration(1, (A, B, C)).without("b") == (A, C)


def test_new_peer_is_last_and_changed_peer_stays_in_place() -> None:
    assert Configuration(1, (A, B)).with_peer(NONVOTER_C) == (A, B, NONVOTER_C)
    assert Configuration(1, (A, NONVOTER_C, B)).with_peer(C) == (A, C, B)
    assert C.suffrage == VOTER
