"""One raft server: what it does when its time comes, and when a message comes."""

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
"""The log of all when they were just bootstrapped."""


def longest(between: Range) -> float:
    return between[1]


def server(**changes: Any) -> Raft:
    """``a``, just bootstrapped with ``b`` and ``c``."""
    return replace(bootstrap(Raft("a", Timing(), True, NOW), PEERS), **changes)


def leading(**changes: Any) -> Raft:
    """``a`` as the leader of term 2, whose first entry the others do not have yet."""
    known = {"state": LEADER, "term": 2, "voted_for": "a", "leader": "a", "log": LOG.append(2)}
    return server(**{**known, "peers": {"b": Progress(0, NOW), "c": Progress(0, NOW)}, **changes})


def act(raft: Raft, now: float = NOW) -> Outcome:
    return tick(raft, now, longest)


def receive(raft: Raft, message: Any) -> Outcome:
    return step(raft, message, NOW, longest)


def lines(outcome: Outcome) -> list[str]:
    return [said.message for said in outcome.logs]


def test_a_bootstrapped_server_follows_nobody_and_has_its_peers() -> None:
    assert server().log == LOG
    assert (server().state, server().term, server().leader, server().commit_index) == (FOLLOWER, 1, None, 0)


def test_a_follower_that_hears_no_leader_asks_whether_it_would_be_elected() -> None:
    outcome = act(server(leader="c"))
    question = RequestVote(2, "a", 1, 1, is_pre_vote=True)

    assert outcome.messages == (("b", question), ("c", question))
    assert (outcome.raft.state, outcome.raft.term, outcome.raft.leader) == (CANDIDATE, 1, None)
    assert outcome.raft.deadline == NOW + Timing().election_timeout[1]
    assert lines(outcome) == ["heartbeat timeout reached, starting election", "entering candidate state"]


def test_a_version_without_pre_votes_raises_its_term_at_once() -> None:
    outcome = act(server(pre_vote=False))
    question = RequestVote(2, "a", 1, 1)

    assert outcome.messages == (("b", question), ("c", question))
    assert (outcome.raft.state, outcome.raft.term, outcome.raft.voted_for) == (CANDIDATE, 2, "a")


def test_a_candidate_that_did_not_win_tries_again_and_writes_it_once() -> None:
    outcome = act(act(server(pre_vote=False)).raft)

    assert outcome.raft.term == 3
    assert lines(outcome) == ["entering candidate state"]


def test_a_server_without_a_vote_campaigns_never() -> None:
    guest = server(log=Log().append(1, peers=[replace(A, suffrage=NONVOTER), B]), leader="b")
    outcome = act(guest)

    assert outcome.messages == ()
    assert (outcome.raft.state, outcome.raft.leader) == (FOLLOWER, None)


def test_a_server_without_a_log_campaigns_never() -> None:
    assert act(Raft("a", Timing(), True, NOW)).raft.state == FOLLOWER


def test_a_candidate_whom_a_majority_would_elect_raises_the_term_and_asks() -> None:
    outcome = receive(act(server()).raft, VoteResponse(2, "b", granted=True, is_pre_vote=True))
    question = RequestVote(2, "a", 1, 1)

    assert outcome.messages == (("b", question), ("c", question))
    assert (outcome.raft.state, outcome.raft.term, outcome.raft.voted_for) == (CANDIDATE, 2, "a")


def test_a_candidate_that_a_majority_elects_leads_and_tells_all() -> None:
    candidate = act(server(pre_vote=False)).raft
    outcome = receive(candidate, VoteResponse(2, "c", granted=True))
    beat = AppendEntries(2, "a", LOG.append(2), 0)

    assert outcome.messages == (("b", beat), ("c", beat))
    assert (outcome.raft.state, outcome.raft.leader, outcome.raft.log.last) == (LEADER, "a", 2)
    assert lines(outcome) == ["election won", "entering leader state"]


def test_a_server_alone_elects_itself_and_commits() -> None:
    alone = act(bootstrap(Raft("a", Timing(), True, NOW), (A,))).raft

    assert (alone.state, alone.term, alone.commit_index) == (LEADER, 2, 2)
    assert alone.is_ready


@pytest.mark.parametrize(
    "vote",
    [
        VoteResponse(2, "b", granted=False),
        VoteResponse(1, "b", granted=True),
        VoteResponse(2, "b", granted=True, is_pre_vote=True),
        VoteResponse(2, "stranger", granted=True),
        VoteResponse(2, "a", granted=True),
    ],
    ids=["refused", "old", "of the question before", "of no voter", "its own"],
)
def test_only_a_vote_of_another_voter_in_this_election_counts(vote: VoteResponse) -> None:
    candidate = act(server(pre_vote=False)).raft

    assert receive(candidate, vote).raft.state == CANDIDATE


def test_the_vote_of_a_server_without_a_vote_does_not_count() -> None:
    log = Log().append(1, peers=[A, B, replace(C, suffrage=NONVOTER)])
    candidate = act(server(pre_vote=False, log=log)).raft

    assert [name for name, _ in act(candidate).messages] == ["b"]
    assert receive(candidate, VoteResponse(2, "c", granted=True)).raft == candidate


def test_a_candidate_that_learns_of_a_newer_term_follows() -> None:
    after = receive(act(server(pre_vote=False)).raft, VoteResponse(5, "b", granted=False)).raft

    assert (after.state, after.term, after.voted_for) == (FOLLOWER, 5, None)


def test_a_late_vote_does_not_unseat_a_leader() -> None:
    assert receive(leading(), VoteResponse(2, "c", granted=True)) == Outcome(leading())


def test_a_vote_is_given_once_in_a_term() -> None:
    first = receive(server(), RequestVote(2, "b", 1, 1))
    again = receive(first.raft, RequestVote(2, "b", 1, 1))
    other = receive(again.raft, RequestVote(2, "c", 1, 1))

    assert first.messages == again.messages == (("b", VoteResponse(2, "a", granted=True)),)
    assert other.messages == (("c", VoteResponse(2, "a", granted=False)),)
    assert first.raft.deadline == NOW + Timing().election_timeout[1]


def test_a_question_before_the_vote_binds_nobody() -> None:
    target = receive(server(), RequestVote(2, "b", 1, 1, is_pre_vote=True))

    assert target.messages == (("b", VoteResponse(2, "a", granted=True, is_pre_vote=True)),)
    assert target.raft == server()


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"), [(3, 2, True), (2, 3, True), (9, 1, False), (2, 2, False)]
)
@pytest.mark.parametrize("pre", [True, False])
def test_only_a_log_that_is_not_older_gets_a_vote(last_index: int, last_term: int, granted: bool, pre: bool) -> None:
    voter = server(term=2, log=LOG.append(2, 2))
    outcome = receive(voter, RequestVote(3, "b", last_index, last_term, pre))
    ((to, vote),) = outcome.messages

    assert to == "b"
    assert isinstance(vote, VoteResponse)
    assert vote.granted is granted


def test_a_candidate_of_an_old_term_is_told_the_new_one() -> None:
    assert receive(server(term=4), RequestVote(3, "b", 9, 3)).messages == (("b", VoteResponse(4, "a", granted=False)),)


def test_nobody_gets_a_vote_while_a_leader_is_known() -> None:
    follower = server(leader="c")
    outcome = receive(follower, RequestVote(9, "b", 9, 9))

    assert outcome == Outcome(follower, (("b", VoteResponse(1, "a", granted=False)),))


def test_a_follower_takes_the_log_of_the_leader_and_tells_how_far_it_has_it() -> None:
    log = LOG.append(2, 3)
    outcome = receive(server(), AppendEntries(2, "c", log, commit_index=3))

    assert outcome.messages == (("c", AppendEntriesResponse(2, "a", 4)),)
    assert outcome.raft == server(
        term=2, log=log, commit_index=3, leader="c", last_contact=NOW, deadline=NOW + Timing().election_timeout[1]
    )
    assert lines(outcome) == ["entering follower state"]
    assert lines(receive(outcome.raft, AppendEntries(2, "c", log, commit_index=4))) == []


def test_a_follower_that_has_more_takes_nothing_back() -> None:
    follower = server(term=2, log=LOG.append(2, 3), commit_index=4, leader="c")
    after = receive(follower, AppendEntries(2, "c", LOG.append(2, 2), commit_index=2)).raft

    assert (after.log, after.commit_index) == (follower.log, 4)


def test_a_candidate_follows_whom_the_others_elected() -> None:
    after = receive(act(server(pre_vote=False)).raft, AppendEntries(2, "c", LOG.append(2), commit_index=0)).raft

    assert (after.state, after.leader, after.voted_for) == (FOLLOWER, "c", "a")


def test_the_leader_of_an_old_term_is_told_the_new_one() -> None:
    outcome = receive(server(term=3), AppendEntries(2, "c", LOG.append(2), commit_index=2))

    assert outcome == Outcome(server(term=3), (("c", AppendEntriesResponse(3, "a", None)),))


def test_a_leader_sends_heartbeats() -> None:
    outcome = act(leading())
    beat = AppendEntries(2, "a", LOG.append(2), 0)

    assert outcome.messages == (("b", beat), ("c", beat))
    assert outcome.raft == leading(deadline=NOW + Timing().heartbeat_interval[1])


def test_a_leader_that_hears_no_majority_steps_down() -> None:
    pending = act(leading(peers={"b": Progress(0, NOW - 0.5), "c": Progress(0, NOW - 9)}))
    lost = act(leading(peers={"b": Progress(0, NOW - 0.6), "c": Progress(0, NOW - 9)}))

    assert pending.raft.state == LEADER
    assert (lost.raft.state, lost.raft.leader, lost.raft.last_contact, lost.messages) == (FOLLOWER, None, NOW, ())
    assert lines(lost)[0] == "failed to contact quorum of nodes, stepping down"


def test_a_leader_that_hears_only_servers_without_a_vote_steps_down() -> None:
    peers = [A, B, C, Peer("d", "d:4647", NONVOTER), Peer("e", "e:4647", NONVOTER)]
    heard = {"d": Progress(0, NOW), "e": Progress(0, NOW)}

    assert act(leading(log=Log().append(2, peers=peers), peers=heard)).raft.state == FOLLOWER


def test_an_entry_is_committed_when_a_majority_has_it() -> None:
    assert leading().commit_index == 0
    assert not leading().is_ready

    after = receive(leading(), AppendEntriesResponse(2, "b", 2)).raft

    assert after.commit_index == 2
    assert after.is_ready
    assert after.peers["b"] == Progress(2, NOW)


def test_an_entry_of_an_older_term_is_not_committed_by_its_number_alone() -> None:
    leader = leading(term=3, log=LOG.append(2).append(3))

    assert receive(leader, AppendEntriesResponse(3, "b", 2)).raft.commit_index == 0
    assert receive(leader, AppendEntriesResponse(3, "b", 3)).raft.commit_index == 3


def test_a_server_without_a_vote_commits_nothing() -> None:
    log = Log().append(2, peers=[A, B, C, Peer("d", "d:4647", NONVOTER)])
    leader = leading(log=log, peers={"d": Progress(0, NOW)})

    assert receive(leader, AppendEntriesResponse(2, "d", 1)).raft.commit_index == 0


def test_a_late_answer_takes_nothing_back() -> None:
    leader = leading(peers={"b": Progress(2, NOW - 1)}, commit_index=2)

    assert receive(leader, AppendEntriesResponse(2, "b", 1)).raft.peers["b"] == Progress(2, NOW)


@pytest.mark.parametrize(
    "response",
    [AppendEntriesResponse(2, "b", None), AppendEntriesResponse(1, "b", 2), AppendEntriesResponse(2, "stranger", 2)],
    ids=["without entries", "old", "of a stranger"],
)
def test_an_answer_that_means_nothing_changes_nothing(response: AppendEntriesResponse) -> None:
    assert receive(leading(), response) == Outcome(leading())


def test_a_follower_counts_no_answers() -> None:
    assert receive(server(), AppendEntriesResponse(1, "b", 1)) == Outcome(server())


def test_a_leader_that_learns_of_a_newer_term_follows_and_heard_the_others_just_now() -> None:
    after = receive(leading(), AppendEntriesResponse(7, "b", None)).raft

    assert (after.state, after.term, after.leader, after.voted_for, after.last_contact) == (
        FOLLOWER,
        7,
        None,
        None,
        NOW,
    )


def test_a_leader_takes_new_entries_and_sends_them() -> None:
    outcome = propose(leading(), NOW, longest, 3)
    beat = AppendEntries(2, "a", LOG.append(2, 4), 0)

    assert outcome.messages == (("b", beat), ("c", beat))
    assert outcome.raft.log == beat.log


def test_a_new_peer_is_spoken_to_and_counted_from_its_entry_on() -> None:
    outcome = propose(leading(), NOW, longest, peers=(*PEERS, Peer("d", "d:4647")))

    assert [name for name, _ in outcome.messages] == ["b", "c", "d"]
    assert outcome.raft.peers["d"] == Progress(0, NOW)
    assert outcome.raft.log.configuration.majority == 3


def test_a_leader_that_was_removed_steps_down_when_its_removal_is_committed() -> None:
    removed = propose(leading(log=LOG.append(2, 2)), NOW, longest, peers=(B, C)).raft
    assert removed.log.last == 4
    waiting = receive(receive(removed, AppendEntriesResponse(2, "b", 3)).raft, AppendEntriesResponse(2, "c", 3)).raft
    assert (waiting.state, waiting.commit_index) == (LEADER, 3)

    outcome = receive(receive(waiting, AppendEntriesResponse(2, "b", 4)).raft, AppendEntriesResponse(2, "c", 4))

    assert (outcome.raft.state, outcome.raft.commit_index) == (FOLLOWER, 4)
    assert lines(outcome)[0] == "removed ourself, stepping down"
    assert act(outcome.raft).raft.state == FOLLOWER


def test_a_leader_that_removes_the_only_other_voter_needs_nobody() -> None:
    alone = propose(leading(log=Log().append(2, peers=(A, B))), NOW, longest, peers=(A,)).raft

    assert alone.commit_index == alone.log.last == 2
    assert act(alone, NOW + 9).raft.state == LEADER


def test_the_configuration_may_change_when_the_last_change_is_committed() -> None:
    ready = receive(leading(), AppendEntriesResponse(2, "b", 2)).raft
    changing = propose(ready, NOW, longest, peers=(A, B)).raft

    assert not can_change_peers(leading())
    assert not can_change_peers(leading(commit_index=1)), "it has committed nothing of its own term"
    assert can_change_peers(ready)
    assert not can_change_peers(changing)
    assert can_change_peers(receive(changing, AppendEntriesResponse(2, "b", 3)).raft)


def test_a_snapshot_is_taken_after_many_entries() -> None:
    log = LOG.append(2, SNAPSHOT_THRESHOLD)

    assert take_snapshot(server(log=log, commit_index=SNAPSHOT_THRESHOLD - 1)).snapshot == (0, 0)
    assert take_snapshot(server(log=log, commit_index=SNAPSHOT_THRESHOLD)).snapshot == (SNAPSHOT_THRESHOLD, 2)


def test_a_peer_that_is_removed_is_told_so_as_the_last_of_all() -> None:
    outcome = propose(leading(), NOW, longest, peers=(A, B))

    assert [name for name, _ in outcome.messages] == ["b", "c"]
    assert set(outcome.raft.peers) == {"b"}
    assert [name for name, _ in act(outcome.raft).messages] == ["b"]


def test_a_follower_that_is_removed_campaigns_no_more() -> None:
    removed = receive(server(), AppendEntries(2, "b", LOG.append(2, peers=(B, C)), 1)).raft
    assert not removed.is_voter

    waiting = act(removed, removed.deadline)

    assert (waiting.raft.state, waiting.raft.leader, waiting.messages) == (FOLLOWER, None, ())
