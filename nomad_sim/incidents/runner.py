"""Runs incidents: single steps on request, or all steps with their durations."""

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
    """The progress of an incident: its roles, and the number of steps that have started."""

    incident: Incident
    role_map: RoleMap
    steps_done: int = 0

    @property
    def step(self) -> Step:
        """The step that started last."""
        return self.incident.steps[self.steps_done - 1]

    @property
    def is_complete(self) -> bool:
        return self.steps_done == len(self.incident.steps)

    @property
    def position(self) -> str:
        """``leader-killed, step 2 of 3``."""
        return f"{self.incident.name}, step {self.steps_done} of {len(self.incident.steps)}"

    def title(self, is_running: bool) -> str:
        """Return the position, and that the incident is complete if no step ``is_running``."""
        return f"{self.position}, complete" if self.is_complete and not is_running else self.position


class IncidentRunner:
    """Runs one incident at a time, and prints each step with ``print_text``.

    ``pace`` is the speed of the cluster relative to Nomad.
    """

    def __init__(self, server: ClusterServer, api: NomadApi, pace: float, print_text: Print) -> None:
        self.server = server
        self.progress: Progress | None = None
        self._api = api
        self._pace = pace
        self._print = print_text
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a complete run of an incident is in progress."""
        return self._task is not None and not self._task.done()

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The agents by name, without removed ones."""
        agents = self.server.cluster.world.agents
        return {setup.full_name: agents[setup.full_name] for setup in self.server.monitored}

    async def run_step(self, incident: Incident, number: int) -> None:
        """Run one step. Raises ConflictError if it is not the next one or the cluster is not ready for it."""
        self._check_free()
        async with self._busy:
            progress = self._prepare(incident) if number == 1 else self._continue(incident, number)
            await self._run_actions(progress)

    def start(self, incident: Incident, after: float = 0.0) -> None:
        """Start to run all steps after ``after`` seconds. Raises ConflictError if the cluster is not ready for them."""
        self._check_free()
        self._prepare(incident)
        self._task = asyncio.create_task(self._run(incident, after), name=incident.name)

    async def stop(self) -> None:
        """Stop the run in progress, if any."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _check_free(self) -> None:
        if self._task is not None and self.is_running:
            raise ConflictError(f"{self._task.get_name()} is running")
        if self._busy.locked():
            raise ConflictError("a step is running")

    def _prepare(self, incident: Incident) -> Progress:
        """Return the progress before the first step. Raises ConflictError if the cluster is unsuitable or unhealthy."""
        missing = missing_requirements(incident.requirements, cluster_shape(self.agents))
        if missing:
            raise ConflictError(f"{incident.name} requires {missing}")
        active_fault = next(self._active_faults(), "")
        if active_fault:
            raise ConflictError(f"repair the cluster first ({active_fault})")
        role_map = assign_roles(self.agents)
        if Role.LEADER not in role_map or (incident.requirements.regions > 1 and Role.REMOTE_LEADER not in role_map):
            raise ConflictError("no leader; wait for an election")
        return Progress(incident, role_map)

    def _active_faults(self) -> Iterator[str]:
        """Yield a text for each kind of fault that was not repaired."""
        agents = self.agents
        down = [name for name, agent in agents.items() if not agent.is_running]
        changed = [setup.full_name for setup in self.server.monitored if agents[setup.full_name].setup != setup]
        if down:
            yield f"not running: {', '.join(down)}"
        if self.server.cluster.world.partitions:
            yield "agents are partitioned"
        if changed:
            yield f"changed setup: {', '.join(changed)}"
        if self._api.acl.revoked:
            yield "a token is revoked"

    def _continue(self, incident: Incident, number: int) -> Progress:
        progress = self.progress
        if progress is None or progress.incident is not incident or progress.steps_done != number - 1:
            raise ConflictError(f"{incident.name} cannot run step {number} now; run its steps in order")
        return progress

    async def _run(self, incident: Incident, after: float) -> None:
        await asyncio.sleep(after)
        try:
            progress = self._prepare(incident)
            while not progress.is_complete:
                progress = await self._run_actions(progress)
                await asyncio.sleep(progress.step.duration / self._pace)
            self._print_safely(f"{incident.name} is complete.")
        except ConflictError as error:
            self._print_safely(f"{incident.name} stopped: {error}.")

    async def _run_actions(self, previous: Progress) -> Progress:
        """Run the actions of the next step and print the step; return the progress."""
        # The progress is kept after each action, because a later one may be refused.
        progress = self.progress = replace(previous, steps_done=previous.steps_done + 1)
        for action in progress.step.actions:
            progress = self.progress = replace(progress, role_map=await self._run_action(action, progress.role_map))
        self._print_safely("\n".join((f"{progress.position}:", *describe_step(progress.step, progress.role_map))))
        return progress

    def _print_safely(self, text: str) -> None:
        """Print ``text``; ignore a standard output that is closed."""
        with suppress(OSError):
            self._print(text)

    async def _run_action(self, action: Action | ApiCall, role_map: RoleMap) -> RoleMap:
        """Run an action; return the roles, which may include a new server."""
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
        """Add a server to the first region, without servers to join; return it."""
        region = self.server.setups[0].region
        setup = replace(layout.new_server_setup(self.server.setups, region), retry_join=())
        try:
            await self.server.add(setup)
        except ListenError as error:
            raise ConflictError(str(error)) from None
        return role_agent(setup, multi_region=len({known.region for known in self.server.setups}) > 1)
