"""Laws and examples of the arithmetic of a quorum."""

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

ANSWERS = st.sampled_from([True, False, None])
EVIDENCE = st.fixed_dictionaries(
    {EvidenceSource.GOSSIP: ANSWERS}, optional={EvidenceSource.DIRECT: ANSWERS, EvidenceSource.AUTOPILOT: ANSWERS}
)
CLUSTERS = st.lists(EVIDENCE, min_size=1, max_size=9)

PROVEN = {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True}
DEAD = {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: False}


def safe(voters: Sequence[Evidence], trust_gossip: bool = False) -> list[bool]:
    """Return for each voter in turn whether stopping it is safe."""
    count = count_voters(voters, trust_gossip)
    return [is_safe(count.healthy, count.quorum_size, is_healthy(evidence, trust_gossip)) for evidence in voters]


@given(voters=CLUSTERS, trust_gossip=st.booleans())
def test_stopping_is_safe_only_if_a_healthy_majority_remains(voters: list[Evidence], trust_gossip: bool) -> None:
    for stopped, is_stop_safe in enumerate(safe(voters, trust_gossip)):
        others = [is_healthy(evidence, trust_gossip) for index, evidence in enumerate(voters) if index != stopped]
        assert is_stop_safe is (sum(others) > len(voters) // 2)


@given(voters=CLUSTERS, index=st.integers(0, 8), trust_gossip=st.booleans())
def test_additional_healthy_voter_never_reduces_safety(voters: list[Evidence], index: int, trust_gossip: bool) -> None:
    index %= len(voters)
    better = [*voters[:index], PROVEN, *voters[index + 1 :]]
    others = [other for other in range(len(voters)) if other != index]

    before, after = safe(voters, trust_gossip), safe(better, trust_gossip)
    assert count_voters(better, trust_gossip).healthy >= count_voters(voters, trust_gossip).healthy
    assert not [other for other in others if before[other] and not after[other]]


@given(voters=CLUSTERS, seed=st.randoms(use_true_random=False), trust_gossip=st.booleans())
def test_order_of_voters_does_not_matter(voters: list[Evidence], seed: random.Random, trust_gossip: bool) -> None:
    shuffled = seed.sample(voters, len(voters))

    assert count_voters(shuffled, trust_gossip) == count_voters(voters, trust_gossip)
    assert basis(shuffled, trust_gossip) == basis(voters, trust_gossip)


@given(voters=CLUSTERS, data=st.data(), trust_gossip=st.booleans())
def test_missing_evidence_never_increases_safety(
    voters: list[Evidence], data: st.DataObject, trust_gossip: bool
) -> None:
    index = data.draw(st.integers(0, len(voters) - 1))
    source = data.draw(st.sampled_from(sorted(voters[index])))
    reduced = [*voters[:index], {**voters[index], source: None}, *voters[index + 1 :]]

    before, after = safe(voters, trust_gossip), safe(reduced, trust_gossip)
    assert not [number for number, is_stop_safe in enumerate(after) if is_stop_safe and not before[number]]


@given(voters=CLUSTERS, data=st.data(), trust_gossip=st.booleans())
def test_voter_without_gossip_evidence_is_never_healthy(
    voters: list[Evidence], data: st.DataObject, trust_gossip: bool
) -> None:
    index = data.draw(st.integers(0, len(voters) - 1))
    reduced = [dict(evidence) for evidence in voters]
    del reduced[index][EvidenceSource.GOSSIP]

    assert not is_healthy(reduced[index], trust_gossip)
    before, after = safe(voters, trust_gossip), safe(reduced, trust_gossip)
    assert not [number for number, is_stop_safe in enumerate(after) if is_stop_safe and not before[number]]


@given(voters=CLUSTERS)
def test_trusted_gossip_adds_only_voters_not_reported_unhealthy(
    voters: list[Evidence],
) -> None:
    strict, trusting = count_voters(voters), count_voters(voters, trust_gossip=True)

    assert strict.healthy <= trusting.healthy
    assert trusting.healthy <= len(voters) - sum(is_unhealthy(evidence) for evidence in voters)


@given(voters=CLUSTERS, trust_gossip=st.booleans())
def test_voter_is_either_healthy_or_unhealthy_or_unknown(voters: list[Evidence], trust_gossip: bool) -> None:
    count = count_voters(voters, trust_gossip)

    assert not [evidence for evidence in voters if is_healthy(evidence, trust_gossip) and is_unhealthy(evidence)]
    assert count.voters == len(voters)
    assert count.healthy + count.unknown + sum(map(is_unhealthy, voters)) == count.voters
    assert count.unknown >= 0


@given(voters=CLUSTERS, trust_gossip=st.booleans())
def test_margin_is_number_of_healthy_voters_that_can_be_lost(voters: list[Evidence], trust_gossip: bool) -> None:
    count = count_voters(voters, trust_gossip)

    assert is_safe(count.healthy, count.quorum_size, counts=True) is (count.margin >= 1)
    assert is_safe(count.healthy, count.quorum_size, counts=False) is (count.margin >= 0)


@pytest.mark.parametrize(
    ("voters", "quorum_size", "minimum"),
    [
        pytest.param(1, 1, None, id="one voter is never safe"),
        pytest.param(2, 2, None, id="two voters are never safe"),
        pytest.param(3, 2, 3, id="three need three healthy"),
        pytest.param(4, 3, 4, id="four need four healthy"),
        pytest.param(5, 3, 4, id="five need four healthy"),
        pytest.param(6, 4, 5, id="six need five healthy"),
        pytest.param(7, 4, 5, id="seven need five healthy"),
    ],
)
def test_minimum_of_healthy_voters_to_stop_one(voters: int, quorum_size: int, minimum: int | None) -> None:
    sufficient = (
        healthy for healthy in range(1, voters + 1) if safe([PROVEN] * healthy + [DEAD] * (voters - healthy))[0]
    )

    assert VoterCount(voters, voters).quorum_size == quorum_size
    assert next(sufficient, None) == minimum


@pytest.mark.parametrize(
    ("voters", "healthy", "is_stop_safe"),
    [
        pytest.param(1, 0, False, id="of one voter"),
        pytest.param(2, 1, False, id="of two"),
        pytest.param(3, 2, True, id="of three"),
        pytest.param(3, 1, False, id="of three, and another is dead"),
        pytest.param(4, 3, True, id="of four"),
        pytest.param(5, 3, True, id="of five, and another is dead"),
        pytest.param(5, 2, False, id="of five, and two others are dead"),
    ],
)
def test_stopping_unhealthy_voter_costs_nothing(voters: int, healthy: int, is_stop_safe: bool) -> None:
    assert safe([*[PROVEN] * healthy, *[DEAD] * (voters - healthy)])[-1] is is_stop_safe


@pytest.mark.parametrize(
    ("evidence", "healthy", "healthy_if_gossip_is_trusted"),
    [
        pytest.param({EvidenceSource.GOSSIP: True}, False, True, id="gossip alone"),
        pytest.param({EvidenceSource.GOSSIP: None}, False, False, id="gossip alone, without an answer"),
        pytest.param({EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True}, True, True, id="gossip and direct"),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.AUTOPILOT: True}, True, True, id="gossip and autopilot"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.AUTOPILOT: None}, False, False, id="autopilot has no answer"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: None, EvidenceSource.DIRECT: True}, False, False, id="gossip has no answer"
        ),
        pytest.param(
            {EvidenceSource.DIRECT: True, EvidenceSource.AUTOPILOT: True}, False, False, id="gossip is missing"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: False, EvidenceSource.DIRECT: True}, False, False, id="unhealthy by gossip"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: False}, False, False, id="unhealthy by direct evidence"
        ),
        pytest.param(
            {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True, EvidenceSource.AUTOPILOT: False},
            False,
            False,
            id="unhealthy by autopilot",
        ),
        pytest.param({}, False, False, id="no source"),
    ],
)
def test_healthy_voter_needs_all_sources_and_more_than_gossip(
    evidence: Evidence, healthy: bool, healthy_if_gossip_is_trusted: bool
) -> None:
    assert is_healthy(evidence) is healthy
    assert is_healthy(evidence, trust_gossip=True) is healthy_if_gossip_is_trusted


BY_ALL = {EvidenceSource.GOSSIP: True, EvidenceSource.DIRECT: True, EvidenceSource.AUTOPILOT: True}
BY_AUTOPILOT = {EvidenceSource.GOSSIP: True, EvidenceSource.AUTOPILOT: True}
BY_GOSSIP = {EvidenceSource.GOSSIP: True}


@pytest.mark.parametrize(
    ("voters", "weakest"),
    [
        pytest.param([], None, id="no voter"),
        pytest.param([DEAD], None, id="no healthy voter"),
        pytest.param([BY_ALL, PROVEN], EvidenceSource.DIRECT, id="all direct"),
        pytest.param([BY_ALL, BY_AUTOPILOT], EvidenceSource.AUTOPILOT, id="one by autopilot"),
        pytest.param([BY_GOSSIP, BY_ALL, BY_AUTOPILOT], EvidenceSource.GOSSIP, id="one by gossip"),
        pytest.param(
            [BY_ALL, {EvidenceSource.GOSSIP: False}], EvidenceSource.DIRECT, id="an unhealthy voter does not matter"
        ),
    ],
)
def test_basis_is_weakest_source_of_healthy_voters(voters: list[Evidence], weakest: EvidenceSource | None) -> None:
    assert basis(voters, trust_gossip=True) == weakest
