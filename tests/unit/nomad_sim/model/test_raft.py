"""Tests of one Raft server: ticks, messages, proposals and snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nomad_sim.model.messages import AppendEntries, AppendEntriesResponse, RequestVote, VoteResponse
from nomad_sim.model.raft import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    SNAPSHOT_THRESHOLD,
    Outcome,
    Progress,
    Raft,
    bootstrap,
    can_change_peers,
    propose,
    step,
    take_snapshot,
    tick,
)
from nomad_sim.model.raft_log import NONVOTER, Log, Peer
from nomad_sim.model.timing import Range, Timing

NOW = 100.0
A, B, C = PEERS = tuple(Peer(name, f"{name}:4647") for name in "abc")
LOG = Log().append(1, peers=PEERS)
"""The log of every server right after bootstrap."""


def longest(bounds: Range) -> float:
    return bounds[1]


def new_follower(**changes: Any) -> Raft:
    """Return ``a`` right after bootstrap with ``b`` and ``c``."""
    return replace(bootstrap(Raft("a", Timing(), True, NOW), PEERS), **changes)


def new_leader(**changes: Any) -> Raft:
    """Return ``a`` as the leader of term 2, before any follower has the first entry of the term."""
    fields = {"state": LEADER, "term": 2, "voted_for": "a", "leader": "a", "log": LOG.append(2)}
    return new_follower(**{**fields, "peers": {"b": Progress(0, NOW), "c": Progress(0, NOW)}, **changes})


def run_tick(raft: Raft, now: float = NOW) -> Outcome:
    return tick(raft, now, longest)


def run_step(raft: Raft, message: Any) -> Outcome:
    return step(raft, message, NOW, longest)


def logged(outcome: Outcome) -> list[str]:
    """Return the log messages of an outcome."""
    return [log.message for log in outcome.logs]


def test_bootstrapped_server_has_peers_and_no_leader() -> None:
    assert new_follower().log == LOG
    assert (new_follower().state, new_follower().term, new_follower().leader, new_follower().commit_index) == (
        FOLLOWER,
        1,
        None,
        0,
    )


def test_follower_requests_pre_votes_at_its_deadline() -> None:
    outcome = run_tick(new_follower(leader="c"))
    request = RequestVote(2, "a", 1, 1, is_pre_vote=True)

    assert outcome.messages == (("b", request), ("c", request))
    assert (outcome.raft.state, outcome.raft.term, outcome.raft.leader) == (CANDIDATE, 1, None)
    assert outcome.raft.deadline == NOW + Timing().election_timeout[1]
    assert logged(outcome) == ["heartbeat timeout reached, starting election", "entering candidate state"]


def test_candidate_without_pre_vote_increments_term_at_once() -> None:
    outcome = run_tick(new_follower(pre_vote=False))
    request = RequestVote(2, "a", 1, 1)

    assert outcome.messages == (("b", request), ("c", request))
    assert (outcome.raft.state, outcome.raft.term, outcome.raft.voted_for) == (CANDIDATE, 2, "a")


def test_candidate_retries_and_logs_the_timeout_once() -> None:
    outcome = run_tick(run_tick(new_follower(pre_vote=False)).raft)

    assert outcome.raft.term == 3
    assert logged(outcome) == ["entering candidate state"]


def test_nonvoter_never_starts_an_election() -> None:
    nonvoter = new_follower(log=Log().append(1, peers=[replace(A, suffrage=NONVOTER), B]), leader="b")
    outcome = run_tick(nonvoter)

    assert outcome.messages == ()
    assert (outcome.raft.state, outcome.raft.leader) == (FOLLOWER, None)


def test_server_without_log_never_starts_an_election() -> None:
    assert run_tick(Raft("a", Timing(), True, NOW)).raft.state == FOLLOWER


def test_pre_vote_majority_starts_the_election() -> None:
    outcome = run_step(run_tick(new_follower()).raft, VoteResponse(2, "b", granted=True, is_pre_vote=True))
    request = RequestVote(2, "a", 1, 1)

    assert outcome.messages == (("b", request), ("c", request))
    assert (outcome.raft.state, outcome.raft.term, outcome.raft.voted_for) == (CANDIDATE, 2, "a")


def test_elected_leader_sends_heartbeats_to_all_peers() -> None:
    candidate = run_tick(new_follower(pre_vote=False)).raft
    outcome = run_step(candidate, VoteResponse(2, "c", granted=True))
    heartbeat = AppendEntries(2, "a", LOG.append(2), 0)

    assert outcome.messages == (("b", heartbeat), ("c", heartbeat))
    assert (outcome.raft.state, outcome.raft.leader, outcome.raft.log.last) == (LEADER, "a", 2)
    assert logged(outcome) == ["election won", "entering leader state"]


def test_single_voter_elects_itself_and_commits() -> None:
    leader = run_tick(bootstrap(Raft("a", Timing(), True, NOW), (A,))).raft

    assert (leader.state, leader.term, leader.commit_index) == (LEADER, 2, 2)
    assert leader.is_ready


@pytest.mark.parametrize(
    "vote",
    [
        VoteResponse(2, "b", granted=False),
        VoteResponse(1, "b", granted=True),
        VoteResponse(2, "b", granted=True, is_pre_vote=True),
        VoteResponse(2, "unknown", granted=True),
        VoteResponse(2, "a", granted=True),
    ],
    ids=["denied", "old term", "pre-vote", "unknown voter", "own vote"],
)
def test_only_votes_of_voters_in_this_election_count(vote: VoteResponse) -> None:
    candidate = run_tick(new_follower(pre_vote=False)).raft

    assert run_step(candidate, vote).raft.state == CANDIDATE


def test_vote_of_nonvoter_does_not_count() -> None:
    log = Log().append(1, peers=[A, B, replace(C, suffrage=NONVOTER)])
    candidate = run_tick(new_follower(pre_vote=False, log=log)).raft

    assert [name for name, _ in run_tick(candidate).messages] == ["b"]
    assert run_step(candidate, VoteResponse(2, "c", granted=True)).raft == candidate


def test_candidate_steps_down_for_a_newer_term() -> None:
    after = run_step(run_tick(new_follower(pre_vote=False)).raft, VoteResponse(5, "b", granted=False)).raft

    assert (after.state, after.term, after.voted_for) == (FOLLOWER, 5, None)


def test_late_vote_does_not_change_the_leader() -> None:
    assert run_step(new_leader(), VoteResponse(2, "c", granted=True)) == Outcome(new_leader())


def test_server_votes_once_per_term() -> None:
    first = run_step(new_follower(), RequestVote(2, "b", 1, 1))
    again = run_step(first.raft, RequestVote(2, "b", 1, 1))
    other = run_step(again.raft, RequestVote(2, "c", 1, 1))

    assert first.messages == again.messages == (("b", VoteResponse(2, "a", granted=True)),)
    assert other.messages == (("c", VoteResponse(2, "a", granted=False)),)
    assert first.raft.deadline == NOW + Timing().election_timeout[1]


def test_pre_vote_does_not_bind() -> None:
    target = run_step(new_follower(), RequestVote(2, "b", 1, 1, is_pre_vote=True))

    assert target.messages == (("b", VoteResponse(2, "a", granted=True, is_pre_vote=True)),)
    assert target.raft == new_follower()


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"), [(3, 2, True), (2, 3, True), (9, 1, False), (2, 2, False)]
)
@pytest.mark.parametrize("is_pre_vote", [True, False])
def test_only_up_to_date_log_gets_a_vote(last_index: int, last_term: int, granted: bool, is_pre_vote: bool) -> None:
    voter = new_follower(term=2, log=LOG.append(2, 2))
    outcome = run_step(voter, RequestVote(3, "b", last_index, last_term, is_pre_vote))
    ((to, vote),) = outcome.messages

    assert to == "b"
    assert isinstance(vote, VoteResponse)
    assert vote.granted is granted


def test_vote_response_to_stale_candidate_has_current_term() -> None:
    assert run_step(new_follower(term=4), RequestVote(3, "b", 9, 3)).messages == (
        ("b", VoteResponse(4, "a", granted=False)),
    )


def test_vote_is_denied_while_a_leader_is_known() -> None:
    follower = new_follower(leader="c")
    outcome = run_step(follower, RequestVote(9, "b", 9, 9))

    assert outcome == Outcome(follower, (("b", VoteResponse(1, "a", granted=False)),))


def test_follower_adopts_leader_log_and_returns_match_index() -> None:
    log = LOG.append(2, 3)
    outcome = run_step(new_follower(), AppendEntries(2, "c", log, commit_index=3))

    assert outcome.messages == (("c", AppendEntriesResponse(2, "a", 4)),)
    assert outcome.raft == new_follower(
        term=2, log=log, commit_index=3, leader="c", last_contact=NOW, deadline=NOW + Timing().election_timeout[1]
    )
    assert logged(outcome) == ["entering follower state"]
    assert logged(run_step(outcome.raft, AppendEntries(2, "c", log, commit_index=4))) == []


def test_follower_with_later_entries_truncates_nothing() -> None:
    follower = new_follower(term=2, log=LOG.append(2, 3), commit_index=4, leader="c")
    after = run_step(follower, AppendEntries(2, "c", LOG.append(2, 2), commit_index=2)).raft

    assert (after.log, after.commit_index) == (follower.log, 4)


def test_candidate_follows_the_elected_leader() -> None:
    after = run_step(
        run_tick(new_follower(pre_vote=False)).raft, AppendEntries(2, "c", LOG.append(2), commit_index=0)
    ).raft

    assert (after.state, after.leader, after.voted_for) == (FOLLOWER, "c", "a")


def test_append_response_to_stale_leader_has_current_term() -> None:
    outcome = run_step(new_follower(term=3), AppendEntries(2, "c", LOG.append(2), commit_index=2))

    assert outcome == Outcome(new_follower(term=3), (("c", AppendEntriesResponse(3, "a", None)),))


def test_leader_sends_heartbeats() -> None:
    outcome = run_tick(new_leader())
    heartbeat = AppendEntries(2, "a", LOG.append(2), 0)

    assert outcome.messages == (("b", heartbeat), ("c", heartbeat))
    assert outcome.raft == new_leader(deadline=NOW + Timing().heartbeat_interval[1])


def test_leader_without_majority_contact_steps_down() -> None:
    within_lease = run_tick(new_leader(peers={"b": Progress(0, NOW - 0.5), "c": Progress(0, NOW - 9)}))
    after_lease = run_tick(new_leader(peers={"b": Progress(0, NOW - 0.6), "c": Progress(0, NOW - 9)}))
    follower = after_lease.raft

    assert within_lease.raft.state == LEADER
    assert (follower.state, follower.leader, follower.last_contact, after_lease.messages) == (FOLLOWER, None, NOW, ())
    assert logged(after_lease)[0] == "failed to contact quorum of nodes, stepping down"


def test_leader_with_only_nonvoter_contact_steps_down() -> None:
    peers = [A, B, C, Peer("d", "d:4647", NONVOTER), Peer("e", "e:4647", NONVOTER)]
    progress = {"d": Progress(0, NOW), "e": Progress(0, NOW)}

    assert run_tick(new_leader(log=Log().append(2, peers=peers), peers=progress)).raft.state == FOLLOWER


def test_majority_commits_an_entry() -> None:
    assert new_leader().commit_index == 0
    assert not new_leader().is_ready

    after = run_step(new_leader(), AppendEntriesResponse(2, "b", 2)).raft

    assert after.commit_index == 2
    assert after.is_ready
    assert after.peers["b"] == Progress(2, NOW)


def test_entry_of_older_term_needs_a_newer_entry_to_commit() -> None:
    leader = new_leader(term=3, log=LOG.append(2).append(3))

    assert run_step(leader, AppendEntriesResponse(3, "b", 2)).raft.commit_index == 0
    assert run_step(leader, AppendEntriesResponse(3, "b", 3)).raft.commit_index == 3


def test_nonvoter_does_not_count_toward_commit() -> None:
    log = Log().append(2, peers=[A, B, C, Peer("d", "d:4647", NONVOTER)])
    leader = new_leader(log=log, peers={"d": Progress(0, NOW)})

    assert run_step(leader, AppendEntriesResponse(2, "d", 1)).raft.commit_index == 0


def test_late_append_response_keeps_match_index() -> None:
    leader = new_leader(peers={"b": Progress(2, NOW - 1)}, commit_index=2)

    assert run_step(leader, AppendEntriesResponse(2, "b", 1)).raft.peers["b"] == Progress(2, NOW)


@pytest.mark.parametrize(
    "response",
    [AppendEntriesResponse(2, "b", None), AppendEntriesResponse(1, "b", 2), AppendEntriesResponse(2, "unknown", 2)],
    ids=["no match index", "old term", "unknown follower"],
)
def test_leader_ignores_unusable_append_responses(response: AppendEntriesResponse) -> None:
    assert run_step(new_leader(), response) == Outcome(new_leader())


def test_follower_ignores_append_responses() -> None:
    assert run_step(new_follower(), AppendEntriesResponse(1, "b", 1)) == Outcome(new_follower())


def test_leader_steps_down_for_newer_term_with_fresh_contact() -> None:
    after = run_step(new_leader(), AppendEntriesResponse(7, "b", None)).raft

    assert (after.state, after.term, after.leader, after.voted_for, after.last_contact) == (
        FOLLOWER,
        7,
        None,
        None,
        NOW,
    )


def test_leader_appends_and_replicates_entries() -> None:
    outcome = propose(new_leader(), NOW, longest, 3)
    heartbeat = AppendEntries(2, "a", LOG.append(2, 4), 0)

    assert outcome.messages == (("b", heartbeat), ("c", heartbeat))
    assert outcome.raft.log == heartbeat.log


def test_new_peer_gets_heartbeats_and_counts_immediately() -> None:
    outcome = propose(new_leader(), NOW, longest, peers=(*PEERS, Peer("d", "d:4647")))

    assert [name for name, _ in outcome.messages] == ["b", "c", "d"]
    assert outcome.raft.peers["d"] == Progress(0, NOW)
    assert outcome.raft.log.configuration.majority == 3


def test_removed_leader_steps_down_once_removal_is_committed() -> None:
    removed = propose(new_leader(log=LOG.append(2, 2)), NOW, longest, peers=(B, C)).raft
    assert removed.log.last == 4
    waiting = run_step(run_step(removed, AppendEntriesResponse(2, "b", 3)).raft, AppendEntriesResponse(2, "c", 3)).raft
    assert (waiting.state, waiting.commit_index) == (LEADER, 3)

    outcome = run_step(run_step(waiting, AppendEntriesResponse(2, "b", 4)).raft, AppendEntriesResponse(2, "c", 4))

    assert (outcome.raft.state, outcome.raft.commit_index) == (FOLLOWER, 4)
    assert logged(outcome)[0] == "removed ourself, stepping down"
    assert run_tick(outcome.raft).raft.state == FOLLOWER


def test_leader_that_removes_last_other_voter_keeps_lease() -> None:
    leader = propose(new_leader(log=Log().append(2, peers=(A, B))), NOW, longest, peers=(A,)).raft

    assert leader.commit_index == leader.log.last == 2
    assert run_tick(leader, NOW + 9).raft.state == LEADER


def test_peers_can_change_once_last_change_is_committed() -> None:
    ready = run_step(new_leader(), AppendEntriesResponse(2, "b", 2)).raft
    changing = propose(ready, NOW, longest, peers=(A, B)).raft

    assert not can_change_peers(new_leader())
    assert not can_change_peers(new_leader(commit_index=1)), "no entry of the leader's own term is committed"
    assert can_change_peers(ready)
    assert not can_change_peers(changing)
    assert can_change_peers(run_step(changing, AppendEntriesResponse(2, "b", 3)).raft)


def test_snapshot_is_taken_after_threshold_of_entries() -> None:
    log = LOG.append(2, SNAPSHOT_THRESHOLD)

    assert take_snapshot(new_follower(log=log, commit_index=SNAPSHOT_THRESHOLD - 1)).snapshot == (0, 0)
    assert take_snapshot(new_follower(log=log, commit_index=SNAPSHOT_THRESHOLD)).snapshot == (SNAPSHOT_THRESHOLD, 2)


def test_removed_peer_receives_its_removal_last() -> None:
    outcome = propose(new_leader(), NOW, longest, peers=(A, B))

    assert [name for name, _ in outcome.messages] == ["b", "c"]
    assert set(outcome.raft.peers) == {"b"}
    assert [name for name, _ in run_tick(outcome.raft).messages] == ["b"]


def test_removed_follower_never_starts_an_election() -> None:
    removed = run_step(new_follower(), AppendEntries(2, "b", LOG.append(2, peers=(B, C)), 1)).raft
    assert not removed.is_voter

    outcome = run_tick(removed, removed.deadline)

    assert (outcome.raft.state, outcome.raft.leader, outcome.messages) == (FOLLOWER, None, ())
