"""The arithmetic of a quorum, whatever the witnesses say."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.verdicts.arithmetic import (
    Evidence,
    EvidenceSource,
    VoterCount,
    basis,
    count_voters,
    is_healthy,
    is_safe,
    is_unhealthy,
)

WORDS = st.sampled_from([True, False, None])
TESTIMONIES = st.fixed_dictionaries(
    {EvidenceSource.GOSSIP: WORDS}, optional={EvidenceSource.DIRECT: WORDS, EvidenceSource.AUTOPILOT: WORDS}
)
CLUSTERS = st.lists(TESTIMONIES, min_size=1, max_size=9)

PROVEN = {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True}
DEAD = {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: False}


def safe(told: Sequence[Evidence], trust_gossip: bool = False) -> list[bool]:
    """For each voter in turn, whether it may be stopped."""
    found = count_voters(told, trust_gossip)
    return [is_safe(found.healthy, found.quorum_size, is_healthy(each, trust_gossip)) for each in told]


@given(told=CLUSTERS, trust_gossip=st.booleans())
def test_it_is_never_safe_where_fewer_than_a_majority_would_be_left_well(
    told: list[Evidence], trust_gossip: bool
) -> None:
    for stopped, yes in enumerate(safe(told, trust_gossip)):
        left = [is_healthy(each, trust_gossip) for number, each in enumerate(told) if number != stopped]
        assert yes is (sum(left) > len(told) // 2)


@given(told=CLUSTERS, cured=st.integers(0, 8), trust_gossip=st.booleans())
def test_one_more_well_voter_makes_nothing_less_safe(told: list[Evidence], cured: int, trust_gossip: bool) -> None:
    number = cured % len(told)
    better = [*told[:number], PROVEN, *told[number + 1 :]]
    others = [at for at in range(len(told)) if at != number]

    before, after = safe(told, trust_gossip), safe(better, trust_gossip)
    assert count_voters(better, trust_gossip).healthy >= count_voters(told, trust_gossip).healthy
    assert not [at for at in others if before[at] and not after[at]]


@given(told=CLUSTERS, seed=st.randoms(use_true_random=False), trust_gossip=st.booleans())
def test_the_order_of_the_voters_makes_no_difference(
    told: list[Evidence], seed: random.Random, trust_gossip: bool
) -> None:
    shuffled = seed.sample(told, len(told))

    assert count_voters(shuffled, trust_gossip) == count_voters(told, trust_gossip)
    assert basis(shuffled, trust_gossip) == basis(told, trust_gossip)


@given(told=CLUSTERS, data=st.data(), trust_gossip=st.booleans())
def test_a_witness_that_falls_silent_makes_nothing_safer(
    told: list[Evidence], data: st.DataObject, trust_gossip: bool
) -> None:
    number = data.draw(st.integers(0, len(told) - 1))
    witness = data.draw(st.sampled_from(sorted(told[number])))
    silenced = [*told[:number], {**told[number], witness: None}, *told[number + 1 :]]

    before, after = safe(told, trust_gossip), safe(silenced, trust_gossip)
    assert not [at for at, yes in enumerate(after) if yes and not before[at]]


@given(told=CLUSTERS, data=st.data(), trust_gossip=st.booleans())
def test_a_voter_of_whom_gossip_is_not_even_expected_is_never_well(
    told: list[Evidence], data: st.DataObject, trust_gossip: bool
) -> None:
    number = data.draw(st.integers(0, len(told) - 1))
    robbed = [dict(each) for each in told]
    del robbed[number][EvidenceSource.GOSSIP]

    assert not is_healthy(robbed[number], trust_gossip)
    before, after = safe(told, trust_gossip), safe(robbed, trust_gossip)
    assert not [at for at, yes in enumerate(after) if yes and not before[at]]


@given(told=CLUSTERS)
def test_to_trust_gossip_makes_nothing_less_safe_and_nothing_safe_that_a_witness_speaks_against(
    told: list[Evidence],
) -> None:
    strict, trusting = count_voters(told), count_voters(told, trust_gossip=True)

    assert strict.healthy <= trusting.healthy
    assert trusting.healthy <= len(told) - sum(is_unhealthy(each) for each in told)


@given(told=CLUSTERS, trust_gossip=st.booleans())
def test_every_voter_is_well_or_unwell_or_unproven_and_only_one_of_these(
    told: list[Evidence], trust_gossip: bool
) -> None:
    found = count_voters(told, trust_gossip)

    assert not [each for each in told if is_healthy(each, trust_gossip) and is_unhealthy(each)]
    assert found.voters == len(told)
    assert found.healthy + found.unknown + sum(map(is_unhealthy, told)) == found.voters
    assert found.unknown >= 0


@given(told=CLUSTERS, trust_gossip=st.booleans())
def test_the_margin_is_how_many_well_voters_can_be_lost(told: list[Evidence], trust_gossip: bool) -> None:
    found = count_voters(told, trust_gossip)

    assert is_safe(found.healthy, found.quorum_size, counts=True) is (found.margin >= 1)
    assert is_safe(found.healthy, found.quorum_size, counts=False) is (found.margin >= 0)


@pytest.mark.parametrize(
    ("voters", "needed", "well_needed"),
    [
        pytest.param(1, 1, None, id="one voter is never safe"),
        pytest.param(2, 2, None, id="two voters are never safe"),
        pytest.param(3, 2, 3, id="three need three well"),
        pytest.param(4, 3, 4, id="four need four well"),
        pytest.param(5, 3, 4, id="five need four well"),
        pytest.param(6, 4, 5, id="six need five well"),
        pytest.param(7, 4, 5, id="seven need five well"),
    ],
)
def test_how_many_voters_must_be_well_that_one_of_them_may_be_stopped(
    voters: int, needed: int, well_needed: int | None
) -> None:
    least = next((well for well in range(1, voters + 1) if safe([PROVEN] * well + [DEAD] * (voters - well))[0]), None)

    assert VoterCount(voters, voters).quorum_size == needed
    assert least == well_needed


@pytest.mark.parametrize(
    ("voters", "well", "may_be_stopped"),
    [
        pytest.param(1, 0, False, id="of one"),
        pytest.param(2, 1, False, id="of two"),
        pytest.param(3, 2, True, id="of three"),
        pytest.param(3, 1, False, id="of three, and another is dead"),
        pytest.param(4, 3, True, id="of four"),
        pytest.param(5, 3, True, id="of five, and another is dead"),
        pytest.param(5, 2, False, id="of five, and two others are dead"),
    ],
)
def test_an_unwell_voter_costs_nothing(voters: int, well: int, may_be_stopped: bool) -> None:
    assert safe([*[PROVEN] * well, *[DEAD] * (voters - well)])[-1] is may_be_stopped


@pytest.mark.parametrize(
    ("told", "well", "with_gossip_trusted"),
    [
        pytest.param({EvidenceSource.GOSSIP: True}, False, True, id="gossip alone"),
        pytest.param({EvidenceSource.GOSSIP: None}, False, False, id="gossip alone, and silent"),
        pytest.param({EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True}, True, True, id="gossip and itself"),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.AUTOPILOT: True}, True, True, id="gossip and autopilot"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.AUTOPILOT: None}, False, False, id="autopilot is silent"
        ),
        pytest.param({EvidenceSource.GOSSIP: None, EvidenceSource.DIRECT: True}, False, False, id="gossip is silent"),
        pytest.param(
            {EvidenceSource.DIRECT: True, EvidenceSource.AUTOPILOT: True}, False, False, id="nothing of gossip"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: False, EvidenceSource.DIRECT: True}, False, False, id="gossip speaks against it"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: False}, False, False, id="it is silent itself"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True, EvidenceSource.AUTOPILOT: False},
            False,
            False,
            id="autopilot does",
        ),
        pytest.param({}, False, False, id="nobody"),
    ],
)
def test_a_voter_is_well_when_all_who_should_speak_say_so_and_one_is_more_than_gossip(
    told: Evidence, well: bool, with_gossip_trusted: bool
) -> None:
    assert is_healthy(told) is well
    assert is_healthy(told, trust_gossip=True) is with_gossip_trusted


ITSELF = {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True, EvidenceSource.AUTOPILOT: True}
BY_AUTOPILOT = {EvidenceSource.GOSSIP: True, EvidenceSource.AUTOPILOT: True}
BY_GOSSIP = {EvidenceSource.GOSSIP: True}


@pytest.mark.parametrize(
    ("told", "weakest"),
    [
        pytest.param([], None, id="nobody"),
        pytest.param([DEAD], None, id="nobody is well"),
        pytest.param([ITSELF, PROVEN], EvidenceSource.DIRECT, id="all themselves"),
        pytest.param([ITSELF, BY_AUTOPILOT], EvidenceSource.AUTOPILOT, id="one by autopilot"),
        pytest.param([BY_GOSSIP, ITSELF, BY_AUTOPILOT], EvidenceSource.GOSSIP, id="one by gossip"),
        pytest.param(
            [ITSELF, {EvidenceSource.GOSSIP: False}], EvidenceSource.DIRECT, id="who is not well does not matter"
        ),
    ],
)
def test_the_basis_is_the_weakest_of_what_the_well_voters_rest_on(
    told: list[Evidence], weakest: EvidenceSource | None
) -> None:
    assert basis(told, trust_gossip=True) == weakest
