"""The log of a raft server, and the configurations in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.raft_log import EMPTY, NONVOTER, VOTER, Configuration, Log, Peer

A, B, C = (Peer(name, f"{name}:4647") for name in "abc")
GUEST = Peer("c", "c:4647", NONVOTER)

TERMS = st.lists(st.integers(1, 5), max_size=12).map(sorted)


def log_of(terms: list[int]) -> Log:
    """A log whose entries have these terms."""
    log = Log()
    for term in terms:
        log = log.append(term)
    return log


@given(TERMS)
def test_a_log_tells_the_term_of_each_entry(terms: list[int]) -> None:
    log = log_of(terms)

    assert [log.term(index) for index in range(1, log.last + 1)] == terms
    assert log.last_term == (terms[-1] if terms else 0)


@given(TERMS)
def test_before_the_first_entry_the_term_is_0(terms: list[int]) -> None:
    assert log_of(terms).term(0) == 0


@given(TERMS)
def test_entries_can_be_appended_at_once(terms: list[int]) -> None:
    log = Log()
    for term in sorted(set(terms)):
        log = log.append(term, terms.count(term))

    assert log == log_of(terms)


@given(TERMS, st.integers(0, 15), st.integers(0, 6))
def test_a_log_agrees_to_what_it_has_alone(terms: list[int], index: int, term: int) -> None:
    assert log_of(terms).matches(index, term) is (index <= len(terms) and [0, *terms][index] == term)


def test_a_follower_takes_the_log_of_the_leader_in_the_place_of_entries_that_differ() -> None:
    leaders = log_of([1, 1, 3])

    assert log_of([1, 1, 2, 2]).follow(leaders) is leaders
    assert log_of([1]).follow(leaders) is leaders


def test_a_follower_that_has_the_last_entry_of_the_leader_keeps_what_came_after_it() -> None:
    longer = log_of([1, 1, 3, 3])

    assert longer.follow(log_of([1, 1, 3])) is longer


def test_a_new_log_has_no_configuration() -> None:
    assert Log().configuration is EMPTY
    assert log_of([1]).configuration is EMPTY


def test_the_newest_configuration_counts() -> None:
    log = Log().append(1, peers=[A]).append(1, 3).append(2, 2, peers=[A, B])

    assert log.configuration == Configuration(6, (A, B))
    assert log.append(2).configuration is log.configuration


def test_only_voters_make_a_majority() -> None:
    configuration = Configuration(1, (A, B, GUEST))

    assert configuration.voters == ("a", "b")
    assert configuration.majority == 2
    assert [configuration.is_voter(name) for name in "abcd"] == [True, True, False, False]


def test_a_majority_is_more_than_half() -> None:
    assert [Configuration(1, (A, B, C)[:count]).majority for count in (1, 2, 3)] == [1, 2, 2]


def test_a_peer_is_found_by_its_id() -> None:
    configuration = Configuration(1, (A, GUEST))

    assert configuration.peer("c") is GUEST
    assert configuration.peer("b") is None


def test_a_peer_is_dropped() -> None:
    assert Configuration(1, (A, B, C)).without("b") == (A, C)


def test_a_peer_that_is_new_stands_last_and_one_that_changed_in_its_place() -> None:
    assert Configuration(1, (A, B)).with_peer(GUEST) == (A, B, GUEST)
    assert Configuration(1, (A, GUEST, B)).with_peer(C) == (A, C, B)
    assert C.suffrage == VOTER
