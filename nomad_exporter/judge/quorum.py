"""Quorum: whether the cluster survives without this server."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from nomad_exporter.judge import counting
from nomad_exporter.judge.counting import Witness
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.standing import Standing
from nomad_exporter.judge.verdict import Trouble, Verdict
from nomad_exporter.judge.views import View
from nomad_exporter.nomad.answers import RaftServer

SILENCE: Mapping[Witness, str] = {
    Witness.GOSSIP: "no members were told",
    Witness.DIRECT: "an agent that never told who it is may be one",
    Witness.AUTOPILOT: "autopilot was asked in vain",
}
"""What it means that a witness says nothing."""

SHOWN = 5
"""So many voters are named of those that are not well."""


def quorum(itself: View, standing: Standing | None, limits: Limits) -> Verdict:
    """Whether the server may be stopped: enough well voters are left, and a leader is known."""
    if standing is None:
        return Verdict(Question.QUORUM, Reason.UNKNOWN, "No server of this cluster has told of its voters lately.")
    costs = standing.misses(itself, limits.trust_gossip)
    trouble = _trouble(standing, costs, standing.might_miss(itself))
    if trouble:
        return trouble.about(Question.QUORUM)
    left = f"without this one {standing.count.well - costs} are left" if costs else "this one is none of them"
    return Verdict(Question.QUORUM, Reason.OK, f"{_counted(standing)}, {left}: it may be stopped.")


def _trouble(standing: Standing, costs: bool, might_cost: bool) -> Trouble | None:
    count = standing.count
    if standing.disagreement:
        return Trouble(Reason.VIEWS_DISAGREE, "Well servers name different leaders or voters.")
    if count.voters - len(standing.absent) < count.needed:
        return Trouble(Reason.QUORUM_LOST, f"Too few voters are there: {_counted(standing)}.")
    if not standing.leader:
        return Trouble(Reason.NO_LEADER, f"No leader is known that is well: {_counted(standing)}.")
    if counting.is_safe(count.well, count.needed, costs):
        return None
    if counting.is_safe(count.well + count.unproven, count.needed, might_cost):
        return Trouble(Reason.NOT_ENOUGH_WITNESSES, f"{_counted(standing)}.")
    without = "without this one, " if costs else ""
    return Trouble(Reason.NO_MARGIN, f"{_counted(standing)}: {without}too few are left.")


def _counted(standing: Standing) -> str:
    """The numbers in words, and who is not well: ``2 of 3 voters are well, 2 are needed (s1 does not answer)``."""
    count = standing.count
    meant = f", {standing.meant} were meant" if standing.meant and standing.meant > count.voters else ""
    who = "; ".join(_unwell(standing))
    return (
        f"{count.well} of {count.voters} voters are well, {count.needed} are needed{meant}{f' ({who})' if who else ''}"
    )


def _unwell(standing: Standing) -> Iterator[str]:
    unwell = {voter for voter, told in standing.testimonies.items() if counting.is_unwell(told)}
    absent, sick = _names(standing, unwell & standing.absent), _names(standing, unwell - standing.absent)
    if absent:
        yield f"{', '.join(absent)} {'does' if len(absent) == 1 else 'do'} not answer"
    if sick:
        yield f"{', '.join(sick)} {'is' if len(sick) == 1 else 'are'} there, but not well"
    if standing.count.unproven:
        yield f"too little is known of {standing.count.unproven}: {_lacking(standing)}"


def _names(standing: Standing, voters: Collection[RaftServer]) -> list[str]:
    names = sorted(standing.names[voter] for voter in voters)
    return [*names[:SHOWN], *([f"{len(names) - SHOWN} more"] if len(names) > SHOWN else [])]


def _lacking(standing: Standing) -> str:
    """Which witness that was asked is silent; where none is, gossip alone speaks for some."""
    silent = {witness for told in standing.testimonies.values() for witness, word in told.items() if word is None}
    return ", ".join(SILENCE[witness] for witness in sorted(silent)) or "only gossip speaks for it"
