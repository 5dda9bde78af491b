"""Plays incidents on the stage: scene by scene as somebody asks for them, or a whole one by its times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from nomad_exporter.demo import deeds, layout
from nomad_exporter.demo.deeds import Refused
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.incidents.asking import ask
from nomad_exporter.demo.incidents.cast import Actor, Cast, actor, cast_of
from nomad_exporter.demo.incidents.needs import lacking, shape_of
from nomad_exporter.demo.incidents.story import ADD, Ask, Deed, Incident, Role, Scene
from nomad_exporter.demo.incidents.telling import filled, scene_told
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.stage import Stage
from nomad_exporter.serving.listen import CannotListen

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Course:
    """An incident that was begun: who plays in it, and how many of its scenes were played."""

    incident: Incident
    cast: Cast
    played: int = 0

    @property
    def scene(self) -> Scene:
        """The one that was played last, or is being played. Raises IndexError before the first."""
        return self.incident.scenes[self.played - 1]

    @property
    def over(self) -> bool:
        return self.played == len(self.incident.scenes)

    @property
    def place(self) -> str:
        """``leader-killed, scene 2 of 3``."""
        return f"{self.incident.name}, scene {self.played} of {len(self.incident.scenes)}"

    def title(self, plays: bool) -> str:
        """How far it is, or that it is over, once nothing of it ``plays`` any more."""
        return f"{self.incident.name} is over; this was its end" if self.over and not plays else self.place


class Player:
    """Plays one incident at a time. ``tell`` hears line by line what happens and what is to be seen."""

    def __init__(self, stage: Stage, face: Face, pace: float, tell: Tell) -> None:
        self.stage = stage
        self.course: Course | None = None
        self._face = face
        self._pace = pace
        self._tell = tell
        self._busy = asyncio.Lock()
        self._playing: asyncio.Task[None] | None = None

    @property
    def plays(self) -> bool:
        """Whether an incident goes on by itself."""
        return self._playing is not None and not self._playing.done()

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The agents that belong to the cluster, by name; one that was removed for good does not."""
        agents = self.stage.cluster.world.agents
        return {setup.full_name: agents[setup.full_name] for setup in self.stage.watched}

    async def play_scene(self, incident: Incident, number: int) -> None:
        """Plays one scene. Raises Refused where it is not its turn."""
        self._check_free()
        async with self._busy:
            course = self._opening(incident) if number == 1 else self._begun(incident, number)
            await self._perform(course)

    def play(self, incident: Incident, after: float = 0.0) -> None:
        """Plays all of it, by its times, ``after`` so many seconds. Raises Refused where that cannot be begun."""
        self._check_free()
        self._opening(incident)
        self._playing = asyncio.create_task(self._play(incident, after), name=incident.name)

    async def end(self) -> None:
        """Plays no more."""
        if self._playing:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)

    def _check_free(self) -> None:
        if self._playing is not None and self.plays:
            raise Refused(f"{self._playing.get_name()} is being played")
        if self._busy.locked():
            raise Refused("a scene is being played")

    def _opening(self, incident: Incident) -> Course:
        """Before the first scene: the cluster is what the incident needs, and all is well with it."""
        lack = lacking(incident.needs, shape_of(self.agents))
        if lack:
            raise Refused(f"{incident.name} needs {lack}")
        trouble = next(self._troubles(), "")
        if trouble:
            raise Refused(f"first all must be well again: {trouble}")
        cast = cast_of(self.agents)
        if Role.LEADER not in cast or (incident.needs.regions > 1 and Role.FAR_LEADER not in cast):
            raise Refused("first there must be a leader")
        return Course(incident, cast)

    def _troubles(self) -> Iterator[str]:
        """What was done to the cluster and not undone."""
        agents = self.agents
        down = [name for name, agent in agents.items() if not agent.runs]
        changed = [one.full_name for one in self.stage.watched if agents[one.full_name].setup != one]
        if down:
            yield f"{', '.join(down)} {'does' if len(down) == 1 else 'do'} not run"
        if self.stage.cluster.world.cuts:
            yield "some are cut off from others"
        if changed:
            yield f"{', '.join(changed)} is not set up as at first"
        if self._face.acl.revoked:
            yield "a token is revoked"

    def _begun(self, incident: Incident, number: int) -> Course:
        course = self.course
        if course is None or course.incident is not incident or course.played != number - 1:
            raise Refused(f"{incident.name} has not come to its scene {number}")
        return course

    async def _play(self, incident: Incident, after: float) -> None:
        await asyncio.sleep(after)
        try:
            course = self._opening(incident)
            while not course.over:
                course = await self._perform(course)
                await asyncio.sleep(course.scene.seconds / self._pace)
            self._say(f"{incident.name} is over.")
        except Refused as error:
            self._say(f"{incident.name} cannot go on: {error}.")

    async def _perform(self, before: Course) -> Course:
        """What was done stays done where a later deed of the scene is refused."""
        course = self.course = replace(before, played=before.played + 1)
        for deed in course.scene.deeds:
            course = self.course = replace(course, cast=await self._done(deed, course.cast))
        self._say("\n".join((f"{course.place}:", *scene_told(course.scene, course.cast))))
        return course

    def _say(self, text: str) -> None:
        """The play goes on where nobody listens any more."""
        with suppress(OSError):
            self._tell(text)

    async def _done(self, deed: Deed | Ask, cast: Cast) -> Cast:
        """Does it; gives the cast after it, for somebody may be added."""
        if isinstance(deed, Ask):
            await ask(self._face, cast[deed.of].name, deed.method, filled(deed.path, cast))
        elif deed.what in deeds.OF_ALL:
            deeds.do_to_all(self.stage, deed.what)
        elif deed.what == ADD:
            return {**cast, **{role: await self._added() for role in deed.to}}
        else:
            for role in deed.to:
                await deeds.do(self.stage, cast[role].name, deed.what)
        return cast

    async def _added(self) -> Actor:
        """A new server of the first region that knows nobody: somebody must tell it whom to join."""
        home = self.stage.setups[0].region
        setup = replace(layout.one_more(self.stage.setups, home), retry_join=())
        try:
            await self.stage.add(setup)
        except CannotListen as error:
            raise Refused(str(error)) from None
        return actor(setup, several=len({one.region for one in self.stage.setups}) > 1)
