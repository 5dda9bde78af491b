"""Families of gossip as one server knows it: counts, status and metadata of the members."""

from __future__ import annotations

from nomad_exporter.metrics.families.members import FAMILIES
from nomad_exporter.nomad.models import Member, Members
from tests.unit.metrics.rendering import render_lines

TWO_REGIONS = Members(
    (
        Member("s1.eu", "alive", region="eu"),
        Member("s2.eu", "failed", region="eu"),
        Member("s3.eu", "alive", region="eu"),
        Member("s1.us", "left", region="us"),
    )
)


def test_members_are_counted_by_region_and_status_with_zeros() -> None:
    assert render_lines(FAMILIES, TWO_REGIONS, "nomad_agent_members") == [
        'nomad_agent_members{nomad_region="eu",status="alive"} 2',
        'nomad_agent_members{nomad_region="eu",status="leaving"} 0',
        'nomad_agent_members{nomad_region="eu",status="left"} 0',
        'nomad_agent_members{nomad_region="eu",status="failed"} 1',
        'nomad_agent_members{nomad_region="us",status="alive"} 0',
        'nomad_agent_members{nomad_region="us",status="leaving"} 0',
        'nomad_agent_members{nomad_region="us",status="left"} 1',
        'nomad_agent_members{nomad_region="us",status="failed"} 0',
    ]


def test_member_without_status_is_not_counted() -> None:
    lines = render_lines(FAMILIES, Members((Member("s1", region="eu"),)), "nomad_agent_members")

    assert [line for line in lines if not line.endswith(" 0")] == []


def test_member_without_status_has_no_status_series() -> None:
    assert render_lines(FAMILIES, Members((Member("s1"),)), "nomad_agent_member_status") == []


def test_member_has_one_status() -> None:
    assert render_lines(FAMILIES, Members((Member("s1", "leaving"),)), "nomad_agent_member_status") == [
        'nomad_agent_member_status{member="s1",status="alive"} 0',
        'nomad_agent_member_status{member="s1",status="leaving"} 1',
        'nomad_agent_member_status{member="s1",status="left"} 0',
        'nomad_agent_member_status{member="s1",status="failed"} 0',
    ]


def test_metadata_of_a_member_is_one_series() -> None:
    member = Member("s1.eu", "alive", "id1", "10.0.0.1:4647", "eu", "dc1", "2.0.5", "3", 2, 4)

    assert render_lines(FAMILIES, Members((member,)), "nomad_agent_member_info") == [
        'nomad_agent_member_info{member="s1.eu",id="id1",address="10.0.0.1:4647",nomad_region="eu",datacenter="dc1",'
        'build="2.0.5",raft_version="3",protocol="2",delegate="4"} 1'
    ]


def test_missing_metadata_is_an_empty_label() -> None:
    assert render_lines(FAMILIES, Members((Member("s1"),)), "nomad_agent_member_info") == [
        'nomad_agent_member_info{member="s1",id="",address="",nomad_region="",datacenter="",'
        'build="",raft_version="",protocol="",delegate=""} 1'
    ]


def test_protocol_zero_is_rendered() -> None:
    [line] = render_lines(FAMILIES, Members((Member("s1", protocol=0, delegate=0),)), "nomad_agent_member_info")

    assert 'protocol="0",delegate="0"' in line


def test_no_members_have_no_series() -> None:
    assert render_lines(FAMILIES, Members(())) == []
