"""Plays incidents on the stage: step by step as somebody asks for them, or a whole one by its times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from nomad_sim import faults, layout
from nomad_sim.api.routes import NomadApi
from nomad_sim.faults import ConflictError
from nomad_sim.incidents.api_client import call_api
from nomad_sim.incidents.describe import describe_step, fill_roles
from nomad_sim.incidents.requirements import cluster_shape, missing_requirements
from nomad_sim.incidents.roles import RoleAgent, RoleMap, assign_roles, role_agent
from nomad_sim.incidents.scenario import ADD, Action, ApiCall, Incident, Role, Step
from nomad_sim.model.agents import Agent
from nomad_sim.runtime import ClusterServer
from nomad_sim.sockets import ListenError

Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """An incident that was begun: who plays in it, and how many of its steps were played."""

    incident: Incident
    role_map: RoleMap
    steps_done: int = 0

    @property
    def step(self) -> Step:
        """The one that was played last, or is being played. Raises IndexError before the first."""
        return self.incident.steps[self.steps_done - 1]

    @property
    def is_over(self) -> bool:
        return self.steps_done == len(self.incident.steps)

    @property
    def position(self) -> str:
        """``leader-killed, step 2 of 3``."""
        return f"{self.incident.name}, step {self.steps_done} of {len(self.incident.steps)}"

    def title(self, is_running: bool) -> str:
        """How far it is, or that it is over, once nothing of it ``is_running`` any more."""
        return f"{self.incident.name} is over; this was its end" if self.is_over and not is_running else self.position


class IncidentRunner:
    """Plays one incident at a time. ``print_line`` hears line by line what happens and what is to be seen."""

    def __init__(self, server: ClusterServer, api: NomadApi, pace: float, print_line: Print) -> None:
        self.server = server
        self.progress: Progress | None = None
        self._api = api
        self._pace = pace
        self._print = print_line
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether an incident goes on by itself."""
        return self._task is not None and not self._task.done()

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The agents that belong to the cluster, by name; one that was removed for good does not."""
        agents = self.server.cluster.world.agents
        return {setup.full_name: agents[setup.full_name] for setup in self.server.monitored}

    async def run_step(self, incident: Incident, number: int) -> None:
        """Plays one step. Raises ConflictError where it is not its turn."""
        self._check_free()
        async with self._busy:
            progress = self._prepare(incident) if number == 1 else self._continue(incident, number)
            await self._run_actions(progress)

    def start(self, incident: Incident, after: float = 0.0) -> None:
        """Plays all of it, by its times, ``after`` so many seconds. Raises ConflictError where that cannot be begun."""
        self._check_free()
        self._prepare(incident)
        self._task = asyncio.create_task(self._run(incident, after), name=incident.name)

    async def stop(self) -> None:
        """Plays no more."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _check_free(self) -> None:
        if self._task is not None and self.is_running:
            raise ConflictError(f"{self._task.get_name()} is being played")
        if self._busy.locked():
            raise ConflictError("a step is being played")

    def _prepare(self, incident: Incident) -> Progress:
        """Before the first step: the cluster is what the incident needs, and all is well with it."""
        missing = missing_requirements(incident.requirements, cluster_shape(self.agents))
        if missing:
            raise ConflictError(f"{incident.name} needs {missing}")
        leftover = next(self._leftovers(), "")
        if leftover:
            raise ConflictError(f"first all must be well again: {leftover}")
        role_map = assign_roles(self.agents)
        if Role.LEADER not in role_map or (incident.requirements.regions > 1 and Role.FAR_LEADER not in role_map):
            raise ConflictError("first there must be a leader")
        return Progress(incident, role_map)

    def _leftovers(self) -> Iterator[str]:
        """What was done to the cluster and not undone."""
        agents = self.agents
        down = [name for name, agent in agents.items() if not agent.is_running]
        changed = [one.full_name for one in self.server.monitored if agents[one.full_name].setup != one]
        if down:
            yield f"{', '.join(down)} {'does' if len(down) == 1 else 'do'} not run"
        if self.server.cluster.world.partitions:
            yield "some are partitioned from others"
        if changed:
            yield f"{', '.join(changed)} is not set up as at first"
        if self._api.acl.revoked:
            yield "a token is revoked"

    def _continue(self, incident: Incident, number: int) -> Progress:
        progress = self.progress
        if progress is None or progress.incident is not incident or progress.steps_done != number - 1:
            raise ConflictError(f"{incident.name} has not come to its step {number}")
        return progress

    async def _run(self, incident: Incident, after: float) -> None:
        await asyncio.sleep(after)
        try:
            progress = self._prepare(incident)
            while not progress.is_over:
                progress = await self._run_actions(progress)
                await asyncio.sleep(progress.step.duration / self._pace)
            self._print_safely(f"{incident.name} is over.")
        except ConflictError as error:
            self._print_safely(f"{incident.name} cannot go on: {error}.")

    async def _run_actions(self, previous: Progress) -> Progress:
        """What was done stays done where a later deed of the step is refused."""
        progress = self.progress = replace(previous, steps_done=previous.steps_done + 1)
        for action in progress.step.actions:
            progress = self.progress = replace(progress, role_map=await self._run_action(action, progress.role_map))
        self._print_safely("\n".join((f"{progress.position}:", *describe_step(progress.step, progress.role_map))))
        return progress

    def _print_safely(self, text: str) -> None:
        """The play goes on where nobody listens any more."""
        with suppress(OSError):
            self._print(text)

    async def _run_action(self, action: Action | ApiCall, role_map: RoleMap) -> RoleMap:
        """Does it; gives the cast after it, for somebody may be added."""
        if isinstance(action, ApiCall):
            await call_api(self._api, role_map[action.role].name, action.method, fill_roles(action.path, role_map))
        elif action.fault in faults.CLUSTER_FAULTS:
            faults.inject_cluster_fault(self.server, action.fault)
        elif action.fault == ADD:
            return {**role_map, **{role: await self._add_server() for role in action.roles}}
        else:
            for role in action.roles:
                await faults.inject(self.server, role_map[role].name, action.fault)
        return role_map

    async def _add_server(self) -> RoleAgent:
        """A new server of the first region that knows nobody: somebody must tell it whom to join."""
        home = self.server.setups[0].region
        setup = replace(layout.new_server_setup(self.server.setups, home), retry_join=())
        try:
            await self.server.add(setup)
        except ListenError as error:
            raise ConflictError(str(error)) from None
        return role_agent(setup, multi_region=len({one.region for one in self.server.setups}) > 1)
