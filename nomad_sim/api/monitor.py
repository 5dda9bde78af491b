"""``GET /v1/agent/monitor``: the log of an agent, as a stream that does not end."""

from __future__ import annotations

from nomad_exporter.demo.face import frames
from nomad_exporter.demo.face.acl import AGENT_READ, OTHERS, Acl, judged
from nomad_exporter.demo.face.answers import JSON, Answer, Question, Reply, Stream, error, truth
from nomad_exporter.demo.face.targets import both, target
from nomad_exporter.demo.model import journal
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.journal import Journal
from nomad_exporter.demo.model.world import World

HEARTBEAT = 1.0
"""Seconds between two frames that say only that the agent is there."""


class Watch:
    """One who watches a log from now on."""

    def __init__(self, log: Journal, level: str, as_json: bool, plain: bool, now: float) -> None:
        self._log, self._level, self._plain = log, level, plain
        self._line = frames.json_line if as_json else frames.plain_text
        self._next = log.next
        self._beat = now

    def piece(self, now: float) -> bytes:
        """What has been written since the last time; in frames, or as it is."""
        reading = self._log.since(self._next)
        self._next = reading.next
        lines = [self._line(line) for line in reading.lines if line.shows_at(self._level)]
        data = b"".join([*([frames.dropped(reading.dropped)] if reading.dropped else []), *lines])
        return data if self._plain else b"".join(frames.framed(data)) + self._heartbeat(now)

    def _heartbeat(self, now: float) -> bytes:
        if now - self._beat < HEARTBEAT:
            return b""
        self._beat = now
        return frames.HEARTBEAT


def monitor(acl: Acl, world: World, agent: Agent, question: Question) -> Reply:
    """The stream; what is wrong with the question is said before who asks is looked at."""
    try:
        level = journal.level(question.first("log_level"))
        as_json, plain = _told(question, "log_json", "log json"), _told(question, "plain", "plain")
    except ValueError as wrong:
        return error(agent.setup.version, 400, str(wrong))
    kind = "text/plain" if plain else JSON
    refused = both(agent, question) or _refused(acl, agent, question, kind)
    found = refused or target(world, agent, question, unknown_server=400)
    if not isinstance(found, Agent):
        return found
    watch = Watch(world.journals[found.name], level, as_json, plain, world.now)
    return Stream(kind, watch.piece, quiet=plain)


def _told(question: Question, name: str, words: str) -> bool:
    text = question.first(name)
    told = truth(text or "false")
    if told is None:
        raise ValueError(f'Unknown option for {words}: strconv.ParseBool: parsing "{text}": invalid syntax')
    return told


def _refused(acl: Acl, agent: Agent, question: Question, kind: str) -> Answer | None:
    """A server forgets to say that it does not know the token: the stream just ends. That is Nomad's."""
    refusal = judged(acl, agent, question, AGENT_READ, OTHERS)
    if refusal and agent.server and question.token and not acl.knows(question.token):
        return Answer(200, content_type=kind)
    return refusal
