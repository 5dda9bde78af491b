"""Identity: whether one agent answers at an address, or several, as behind a load balancer.

Only answers of one agent, or of an agent and its successor, are compared for restarts and other transitions.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

from nomad_exporter.nomad.models import AgentSelf, Role

CONFIRMING_ANSWERS = 2
"""The number of answers in a row with which a new ID replaces the previous one."""

RECOVERY_ANSWERS = 20
"""The number of answers in a row with one ID after which only one agent answers again."""

MAX_IDS = 16
"""The maximum number of IDs that are remembered; more than the servers of any cluster."""


def agent_id(answer: AgentSelf) -> str:
    """Return the ID of a server in gossip, or that of a client's node; empty if the agent reported none."""
    if Role.SERVER in answer.roles:
        return answer.member.id if answer.member else ""
    return answer.texts.get("client.node_id", "")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers ``self`` at one address.

    ``confirmed`` is the newest answer of the agent that is known to answer; None before the first answer, and while
    there are several agents. ``ids`` are the last IDs, each once, the newest last. ``repeats`` is the number of answers
    in a row with the newest ID.
    """

    _: KW_ONLY
    confirmed: AgentSelf | None = None
    ids: tuple[str, ...] = ()
    repeats: int = 0
    has_several: bool = False

    def after(self, answer: AgentSelf) -> Identity:
        """Return the state after the next answer; an answer without an ID proves nothing."""
        new_id = agent_id(answer)
        seen = self._after_id(new_id) if new_id else self
        if seen.has_several:
            return replace(seen, confirmed=None)
        is_confirmed = seen.repeats >= CONFIRMING_ANSWERS or len(seen.ids) <= 1
        return replace(seen, confirmed=answer) if is_confirmed else seen

    def _after_id(self, new_id: str) -> Identity:
        repeats = self.repeats + 1 if new_id in self.ids[-1:] else 1
        # A replaced agent never returns. Only several agents answer in turn.
        has_returned = repeats == 1 and new_id in self.ids
        has_several = has_returned or (self.has_several and repeats < RECOVERY_ANSWERS)
        ids = (*(known for known in self.ids if known != new_id), new_id)[-MAX_IDS:]
        return replace(self, ids=ids, repeats=repeats, has_several=has_several)
