"""Incidents as text: roles, actions and expectations."""

from __future__ import annotations

from collections.abc import Iterator

from nomad_sim.incidents.roles import RoleMap
from nomad_sim.incidents.scenario import Action, ApiCall, Expectation, Match, Role, SampleExpectation, Step


def fill_roles(text: str, role_map: RoleMap) -> str:
    """Return ``text`` with its roles replaced: ``{leader.serf}`` by an address, ``{leader.member}`` by a name."""
    return text.format(**{role.value: agent for role, agent in role_map.items()})


def describe_action(action: Action | ApiCall, role_map: RoleMap) -> str:
    """Return ``kill s1.global, s2.global`` or ``PUT /v1/agent/join?address=… to s1.global``."""
    if isinstance(action, ApiCall):
        return f"{action.method} {fill_roles(action.path, role_map)} to {role_map[action.role].name}"
    return " ".join(filter(None, (action.fault, ", ".join(_role_name(role, role_map) for role in action.roles))))


def describe_expectation(expectation: Expectation, role_map: RoleMap) -> str:
    """Return ``s2, s3: live ok, quorum would_lose_quorum, nomad_agent_up 1``."""
    names = ", ".join(role_map[role].agent if role in role_map else role.value for role in expectation.roles)
    verdicts = (f"{question} {reason}" for question, reason in expectation.reasons.items())
    return f"{names}: {', '.join((*verdicts, *(describe_sample(sample, role_map) for sample in expectation.samples)))}"


def describe_sample(sample: SampleExpectation, role_map: RoleMap) -> str:
    """Return ``nomad_agent_raft_servers{suffrage="Voter"} 2``."""
    labels = ",".join(f'{name}="{fill_roles(value, role_map)}"' for name, value in sample.labels.items())
    series = f"{sample.name}{{{labels}}}" if labels else sample.name
    texts = {
        Match.EQUALS: f"{sample.value:g}",
        Match.ABSENT: "is absent",
        Match.INCREASED: f"increases by {sample.value:g}",
    }
    return f"{series} {texts[sample.match]}"


def describe_roles(role_map: RoleMap) -> str:
    """Return ``leader s1.global, follower s2.global, …``."""
    return ", ".join(f"{role} {agent.name}" for role, agent in role_map.items())


def describe_step(step: Step, role_map: RoleMap) -> Iterator[str]:
    """Yield the description, and a line for each action and each expectation."""
    yield step.description
    for action in step.actions:
        yield f"  {describe_action(action, role_map)}"
    for expectation in step.expectations:
        yield f"  expect {describe_expectation(expectation, role_map)}"


def _role_name(role: Role, role_map: RoleMap) -> str:
    return role_map[role].name if role in role_map else role.value
