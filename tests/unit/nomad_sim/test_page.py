"""The control page in a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from nomad_sim.certificates import CertificateFiles
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.roles import assign_roles
from nomad_sim.incidents.runner import Progress
from nomad_sim.incidents.scenario import Incident, Step
from nomad_sim.layout import setups
from nomad_sim.model.agents import Agent
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.options import Options
from nomad_sim.page import View, render_page
from tests.support.clusters import calm_cluster

KILLED = INCIDENTS["leader-killed"]


def agents() -> Sequence[Agent]:
    return tuple(calm_cluster(3, clients=1).world.agents.values())


def view() -> View:
    return View(agents(), frozenset(), [(KILLED, "")], None, False, "http://127.0.0.1:9441")


def actions(page: str) -> list[str]:
    return re.findall(r'<form method="post" action="([^"]+)"><button>', page)


class BalancedParser(HTMLParser):
    """A parser that fails if a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_tags_are_balanced() -> None:
    parser = BalancedParser()
    parser.feed(
        render_page(
            replace(view(), notice="no", progress=Progress(KILLED, assign_roles(calm_cluster(3, 1).world.agents), 1))
        )
    )

    assert not parser.open


def test_agents_have_buttons_for_available_faults() -> None:
    found = actions(render_page(view()))

    assert "/s1.global/kill" in found
    assert "/s1.global/start" not in found
    assert "/s1.global/leave" in found
    assert "/c1/leave" not in found
    assert "/c1/expire-certificate" not in found


def test_agent_has_either_partition_or_heal_button() -> None:
    found = actions(render_page(replace(view(), partitioned=frozenset({"c1"}))))

    assert {"/c1/heal", "/s1.global/partition"} <= set(found)
    assert not {"/c1/partition", "/s1.global/heal"} & set(found)


def test_agent_links_to_its_api_and_to_exporter() -> None:
    page = render_page(view())

    assert 'href="http://127.0.1.1:4646/v1/agent/self?pretty"' in page
    for path in ("health/live", "health/ready", "health/quorum", "metrics"):
        assert f'href="http://127.0.0.1:9441/{path}?agent=s1"' in page


def test_page_without_exporter_has_no_links_to_it() -> None:
    page = render_page(replace(view(), exporter=""))

    assert "metrics" not in page
    assert "health/live" not in page


def test_exporter_links_include_region_if_there_are_several(tmp_path: Path) -> None:
    agent_setups = setups(Options(port=20000, regions=2, servers=1, clients=1, tls=True), CertificateFiles(tmp_path))
    cluster = Cluster(agent_setups, Timing(), 1, 0.0)
    page = render_page(replace(view(), agents=tuple(cluster.world.agents.values())))

    assert "metrics?agent=s1.east" in page
    assert "https://127.0.0.1:20000/v1/agent/self" in page
    assert "/s1.west/expire-certificate" in actions(page)


def test_incident_has_buttons_for_run_and_steps() -> None:
    path = "/incidents/leader-killed"

    assert [found for found in actions(render_page(view())) if "incidents" in found] == [
        path,
        *(f"{path}/{n}" for n in (1, 2, 3)),
    ]


def test_unsuitable_incident_shows_requirements() -> None:
    page = render_page(replace(view(), incidents=[(KILLED, "ACLs (--acl)")]))

    assert "requires ACLs (--acl)" in page
    assert not [found for found in actions(page) if "incidents" in found]


def test_progress_has_button_for_next_step() -> None:
    progress = Progress(KILLED, assign_roles(calm_cluster(3, clients=1).world.agents), 1)
    page = render_page(replace(view(), progress=progress, incidents=[]))

    assert "<strong>leader-killed, step 1 of 3</strong>" in page
    assert KILLED.steps[0].description in page
    assert "/incidents/leader-killed/2" in actions(page)


def test_running_or_complete_incident_has_no_next_step() -> None:
    progress = Progress(KILLED, assign_roles(calm_cluster(3, clients=1).world.agents), 2)
    running = replace(view(), progress=progress, is_running=True, incidents=[])
    complete = replace(view(), progress=replace(progress, steps_done=3), incidents=[])

    assert not [found for found in actions(render_page(running)) if "incidents" in found]
    assert not [found for found in actions(render_page(complete)) if "incidents" in found]


def test_text_is_escaped() -> None:
    evil = Incident("a<b", "<i>.", (Step("<u>."),))
    page = render_page(replace(view(), notice="<b>", incidents=[(evil, "")], progress=Progress(evil, {}, 1)))

    assert not re.findall(r"<[biu]>", page)


def test_page_renders_without_agents() -> None:
    assert "<h2>Agents</h2>" in render_page(replace(view(), agents=()))
