"""The demo's own page in a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from nomad_exporter.demo.certificates import Files
from nomad_exporter.demo.incidents.cast import cast_of
from nomad_exporter.demo.incidents.catalogue import INCIDENTS
from nomad_exporter.demo.incidents.player import Course
from nomad_exporter.demo.incidents.story import Incident, Scene
from nomad_exporter.demo.layout import setups
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.page import View, html
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
    parser.feed(html(replace(view(), notice="no", course=Course(KILLED, cast_of(calm_cluster(3, 1).world.agents), 1))))

    assert not parser.open


def test_every_agent_has_a_button_for_each_deed_that_is_possible_now() -> None:
    found = actions(html(view()))

    assert "/s1.global/kill" in found
    assert "/s1.global/start" not in found
    assert "/s1.global/leave" in found
    assert "/c1/leave" not in found
    assert "/c1/expire" not in found


def test_an_agent_is_cut_off_or_healed() -> None:
    found = actions(html(replace(view(), cut_off=frozenset({"c1"}))))

    assert {"/c1/heal", "/s1.global/cut"} <= set(found)
    assert not {"/c1/cut", "/s1.global/heal"} & set(found)


def test_an_agent_leads_to_its_own_answers_and_to_what_the_exporter_says_of_it() -> None:
    page = html(view())

    assert 'href="http://127.0.1.1:4646/v1/agent/self?pretty"' in page
    for path in ("health/live", "health/ready", "health/quorum", "metrics"):
        assert f'href="http://127.0.0.1:9441/{path}?agent=s1"' in page


def test_without_an_exporter_nothing_leads_there() -> None:
    page = html(replace(view(), exporter=""))

    assert "metrics" not in page
    assert "health/live" not in page


def test_where_there_are_regions_the_exporter_calls_servers_by_them(tmp_path: Path) -> None:
    placed = setups(Options(port=20000, regions=2, servers=1, clients=1, tls=True), Files(tmp_path))
    cluster = Cluster(placed, Timing(), 1, 0.0)
    page = html(replace(view(), agents=tuple(cluster.world.agents.values())))

    assert "metrics?agent=s1.east" in page
    assert "https://127.0.0.1:20000/v1/agent/self" in page
    assert "/s1.west/expire" in actions(page)


def test_an_incident_can_be_played_whole_or_by_its_scenes() -> None:
    path = "/incidents/leader-killed"

    assert [found for found in actions(html(view())) if "incidents" in found] == [
        path,
        *(f"{path}/{n}" for n in (1, 2, 3)),
    ]


def test_an_incident_that_cannot_be_played_says_what_it_needs() -> None:
    page = html(replace(view(), incidents=[(KILLED, "access control (--acl)")]))

    assert "needs access control (--acl)" in page
    assert not [found for found in actions(page) if "incidents" in found]


def test_what_is_played_is_shown_with_the_way_to_its_next_scene() -> None:
    course = Course(KILLED, cast_of(calm_cluster(3, clients=1).world.agents), 1)
    page = html(replace(view(), course=course, incidents=[]))

    assert "<strong>leader-killed, scene 1 of 3</strong>" in page
    assert KILLED.scenes[0].sentence in page
    assert "/incidents/leader-killed/2" in actions(page)


def test_there_is_no_next_scene_while_it_goes_on_by_itself_nor_after_the_last() -> None:
    course = Course(KILLED, cast_of(calm_cluster(3, clients=1).world.agents), 2)
    by_itself = replace(view(), course=course, plays=True, incidents=[])
    over = replace(view(), course=replace(course, played=3), incidents=[])

    assert not [found for found in actions(html(by_itself)) if "incidents" in found]
    assert not [found for found in actions(html(over)) if "incidents" in found]


def test_no_text_becomes_a_tag() -> None:
    evil = Incident("a<b", "<i>.", (Scene("<u>."),))
    page = html(replace(view(), notice="<b>", incidents=[(evil, "")], course=Course(evil, {}, 1)))

    assert not re.findall(r"<[biu]>", page)


def test_a_cluster_without_agents_is_a_page_too() -> None:
    assert "<h2>Agents</h2>" in html(replace(view(), agents=()))
