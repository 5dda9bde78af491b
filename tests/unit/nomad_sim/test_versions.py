"""The simulated versions of Nomad."""

from __future__ import annotations

from nomad_sim.versions import NEWEST, VERSIONS


def number(series: str) -> tuple[int, ...]:
    return tuple(map(int, series.split(".")))


def test_versions_are_sorted_newest_first() -> None:
    assert list(VERSIONS) == ["2.0", "1.10", "1.6", "1.2", "0.12"]
    assert list(VERSIONS) == sorted(VERSIONS, key=number, reverse=True)
    assert VERSIONS["2.0"] is NEWEST


def test_build_belongs_to_series() -> None:
    assert all(version.build.startswith(f"{series}.") for series, version in VERSIONS.items())
    assert all(version.series == series for series, version in VERSIONS.items())


def test_newer_versions_use_newer_go() -> None:
    built = [number(version.go.removeprefix("go")) for version in VERSIONS.values()]

    assert built == sorted(built, reverse=True)


def test_only_newest_keeps_removed_member_failed() -> None:
    assert [series for series, version in VERSIONS.items() if not version.members_left_by_autopilot] == ["2.0"]


def test_versions_before_1_10_have_no_pre_vote() -> None:
    assert [series for series, version in VERSIONS.items() if not version.pre_vote] == ["1.6", "1.2", "0.12"]
