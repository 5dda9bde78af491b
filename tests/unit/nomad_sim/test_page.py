"""The demo's own page in a browser."""

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


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole() -> None:
    parser = Balanced()
    parser.feed(
        render_page(
            replace(view(), notice="no", progress=Progress(KILLED, assign_roles(calm_cluster(3, 1).world.agents), 1))
        )
    )

    assert not parser.open


def test_every_agent_has_a_button_for_each_deed_that_is_possible_now() -> None:
    found = actions(render_page(view()))

    assert "/s1.global/kill" in found
    assert "/s1.global/start" not in found
    assert "/s1.global/leave" in found
    assert "/c1/leave" not in found
    assert "/c1/expire-certificate" not in found


def test_an_agent_is_cut_off_or_healed() -> None:
    found = actions(render_page(replace(view(), partitioned=frozenset({"c1"}))))

    assert {"/c1/heal", "/s1.global/partition"} <= set(found)
    assert not {"/c1/partition", "/s1.global/heal"} & set(found)


def test_an_agent_leads_to_its_own_answers_and_to_what_the_exporter_says_of_it() -> None:
    page = render_page(view())

    assert 'href="http://127.0.1.1:4646/v1/agent/self?pretty"' in page
    for path in ("health/live", "health/ready", "health/quorum", "metrics"):
        assert f'href="http://127.0.0.1:9441/{path}?agent=s1"' in page


def test_without_an_exporter_nothing_leads_there() -> None:
    page = render_page(replace(view(), exporter=""))

    assert "metrics" not in page
    assert "health/live" not in page


def test_where_there_are_regions_the_exporter_calls_servers_by_them(tmp_path: Path) -> None:
    placed = setups(Options(port=20000, regions=2, servers=1, clients=1, tls=True), CertificateFiles(tmp_path))
    cluster = Cluster(placed, Timing(), 1, 0.0)
    page = render_page(replace(view(), agents=tuple(cluster.world.agents.values())))

    assert "metrics?agent=s1.east" in page
    assert "https://127.0.0.1:20000/v1/agent/self" in page
    assert "/s1.west/expire-certificate" in actions(page)


def test_an_incident_can_be_played_whole_or_by_its_scenes() -> None:
    path = "/incidents/leader-killed"

    assert [found for found in actions(render_page(view())) if "incidents" in found] == [
        path,
        *(f"{path}/{n}" for n in (1, 2, 3)),
    ]


def test_an_incident_that_cannot_be_played_says_what_it_needs() -> None:
    page = render_page(replace(view(), incidents=[(KILLED, "access control (--acl)")]))

    assert "needs access control (--acl)" in page
    assert not [found for found in actions(page) if "incidents" in found]


def test_what_is_played_is_shown_with_the_way_to_its_next_scene() -> None:
    course = Progress(KILLED, assign_roles(calm_cluster(3, clients=1).world.agents), 1)
    page = render_page(replace(view(), progress=course, incidents=[]))

    assert "<strong>leader-killed, step 1 of 3</strong>" in page
    assert KILLED.steps[0].description in page
    assert "/incidents/leader-killed/2" in actions(page)


def test_there_is_no_next_scene_while_it_goes_on_by_itself_nor_after_the_last() -> None:
    course = Progress(KILLED, assign_roles(calm_cluster(3, clients=1).world.agents), 2)
    by_itself = replace(view(), progress=course, is_running=True, incidents=[])
    over = replace(view(), progress=replace(course, steps_done=3), incidents=[])

    assert not [found for found in actions(render_page(by_itself)) if "incidents" in found]
    assert not [found for found in actions(render_page(over)) if "incidents" in found]


def test_no_text_becomes_a_tag() -> None:
    evil = Incident("a<b", "<i>.", (Step("<u>."),))
    page = render_page(replace(view(), notice="<b>", incidents=[(evil, "")], progress=Progress(evil, {}, 1)))

    assert not re.findall(r"<[biu]>", page)


def test_a_cluster_without_agents_is_a_page_too() -> None:
    assert "<h2>Agents</h2>" in render_page(replace(view(), agents=()))
