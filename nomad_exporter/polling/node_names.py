"""Names of clients that do not report their own: requested beside polls of ``self``, and kept in the snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nomad_exporter.clock import Clock, Instant
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.naming import request_name
from nomad_exporter.nomad.sources.source import Send
from nomad_exporter.polling.snapshot import NodeName, Reading

MAX_SECONDS = 1.0
"""The maximum timeout of a request; a client that reaches no server responds only after five seconds."""

RETRY_SECONDS = 60.0
"""The time between two requests for a name, after the first one failed."""


def with_node_name(
    reading: Reading[Any], known: NodeName | None, send: Send, clock: Clock, seconds: float
) -> Reading[Any]:
    """Return ``reading`` with the name of the client's node, if the answer lacks any name.

    ``known`` is the newest result of a request, None if there was none. The name of a node is requested once, within
    what is left of ``seconds`` since the poll began. A failed request leaves the answer without a name.
    """
    answer = reading.outcome
    if not isinstance(answer, AgentSelf) or answer.member or answer.node_name:
        return reading
    now = clock()
    node = known if known and _is_current(known, answer.node_id, now) else None
    if node is None:
        remaining = min(seconds - now.since(reading.began), MAX_SECONDS)
        node = NodeName(answer.node_id, request_name(answer.node_id, send, remaining), now)
    return replace(reading, outcome=replace(answer, node_name=node.name), node_name=node)


def _is_current(known: NodeName, node_id: str, now: Instant) -> bool:
    """Return whether there is no reason to request the name of ``node_id`` now."""
    return known.node_id == node_id and (bool(known.name) or now.since(known.requested) < RETRY_SECONDS)
