"""A story in words: what is done, and what is to be seen."""

from __future__ import annotations

from collections.abc import Iterator

from nomad_exporter.demo.incidents.cast import Cast
from nomad_exporter.demo.incidents.story import Ask, Deed, Expected, Role, Scene, Shown, Sight


def filled(text: str, cast: Cast) -> str:
    """``text`` with whom the roles in it are: ``{leader.serf}`` is an address, ``{leader.member}`` a name."""
    return text.format(**{role.value: actor for role, actor in cast.items()})


def deed_told(deed: Deed | Ask, cast: Cast) -> str:
    """``kill s1.global, s2.global``, ``PUT /v1/agent/join?address=… to s1.global``."""
    if isinstance(deed, Ask):
        return f"{deed.method} {filled(deed.path, cast)} to {cast[deed.of].name}"
    return " ".join(filter(None, (deed.what, ", ".join(_name(role, cast) for role in deed.to))))


def expected_told(expected: Expected, cast: Cast) -> str:
    """``s2, s3: live ok, quorum no_margin, nomad_agent_up 1``."""
    names = ", ".join(cast[role].agent if role in cast else role.value for role in expected.of)
    verdicts = (f"{question} {reason}" for question, reason in expected.reasons.items())
    return f"{names}: {', '.join((*verdicts, *(shown_told(shown, cast) for shown in expected.samples)))}"


def shown_told(shown: Shown, cast: Cast) -> str:
    """``nomad_agent_raft_servers{suffrage="Voter"} 2``."""
    labels = ",".join(f'{name}="{filled(value, cast)}"' for name, value in shown.labels.items())
    series = f"{shown.name}{{{labels}}}" if labels else shown.name
    words = {Sight.IS: f"{shown.value:g}", Sight.ABSENT: "is absent", Sight.GROWN: f"grows by {shown.value:g}"}
    return f"{series} {words[shown.sight]}"


def cast_told(cast: Cast) -> str:
    """``leader s1.global, follower s2.global, …``."""
    return ", ".join(f"{role} {actor.name}" for role, actor in cast.items())


def scene_told(scene: Scene, cast: Cast) -> Iterator[str]:
    """The sentence, and a line for each deed and each sight."""
    yield scene.sentence
    for deed in scene.deeds:
        yield f"  {deed_told(deed, cast)}"
    for expected in scene.expected:
        yield f"  see {expected_told(expected, cast)}"


def _name(role: Role, cast: Cast) -> str:
    return cast[role].name if role in cast else role.value
