"""Questions to the simulated agents, as a person would ask them, from within."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from nomad_exporter.demo.deeds import Refused
from nomad_exporter.demo.face.acl import AGENT_WRITE
from nomad_exporter.demo.face.answers import Answer, Held, Question
from nomad_exporter.demo.face.routes import Face, answer


async def ask(face: Face, name: str, method: str, target: str) -> None:
    """Asks the agent ``name`` for a path with its query, with a token that may. Raises Refused where it refuses."""
    world = face.cluster.world
    path, _, query = target.partition("?")
    token = next((token for token in face.acl.tokens if face.acl.may(token, AGENT_WRITE)), "")
    question = Question(method, path, parse_qs(query), token, world.now, world.chance.random())
    reply = answer(face, name, question)
    while isinstance(reply, Held):
        await asyncio.sleep(reply.seconds)
        reply = answer(face, name, question)
    if isinstance(reply, Answer) and reply.status != 200:
        raise Refused(f"{name} answers {reply.status} to {method} {path}: {reply.body.decode().strip()}")
