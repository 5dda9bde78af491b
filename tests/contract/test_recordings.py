"""The page shows what real agents reported: nothing is lost, nothing is invented, and every parser can read the page.

The expected samples are derived from the recorded JSON alone, without the exporter's decoder.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nomad_exporter.metrics.family import Format
from nomad_exporter.metrics.self_metrics import SelfMetrics
from tests.regenerate import AGENTS, GOLDEN, golden, golden_situations, path
from tests.support.pages import page_of
from tests.support.real_tools import require_tool
from tests.support.recordings import Situation, situations
from tests.support.replay import AT, MAX_AGE, TIMEOUT, replay

Series = tuple[str, frozenset[tuple[str, str]]]
"""A metric name and its labels."""

Samples = Iterator[tuple[Series, float]]

SITUATIONS = situations()
every_recorded_agent = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)

NULL_VALUES = {
    ("nomad.server", "true"): "the label role of info has the same information",
    ("nomad.leader_addr", ""): "no leader is known; leader_known is 0",
    ("raft.last_contact", "never"): "the server never heard from a leader",
    ("client.heartbeat_ttl", "0s"): "the client has not registered; client_registered is 0",
    ("vault.token_ttl", "0s"): "the server has no Vault token",
    ("vault.token_expire_time", ""): "the server has no Vault token",
    ("vault.token_last_renewal_time", ""): "the server has no Vault token",
    ("vault.token_next_renewal_time", ""): "the server has no Vault token",
}
"""Values of stats that mean "no value", and why the page has no sample of them."""

NAMES = {
    "raft.last_contact": "raft_last_contact_seconds",
    "client.last_heartbeat": "client_last_heartbeat_seconds",
    "client.heartbeat_ttl": "client_heartbeat_ttl_seconds",
    "runtime.cpu_count": "runtime_cpus",
}
"""Metric names that are not the key of the stat: durations have a unit, and no gauge may end in ``_count``."""

NANOSECONDS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "µs": 10**3}


def body_of(situation: Situation, target: str, *statuses: int) -> Any:
    """Return the JSON of a recorded response with one of the ``statuses``; None if there was none in time."""
    response = situation.answers.get(target)
    in_time = response and response.status in statuses and response.seconds < TIMEOUT
    return json.loads(response.body) if response and in_time else None


def sample(name: str, value: float = 1, **labels: str) -> tuple[Series, float]:
    return (f"nomad_agent_{name}", frozenset(labels.items())), value


def number(text: str) -> float:
    """Return a boolean, an integer or a Go duration of Nomad as a number; durations in seconds."""
    if text in ("true", "false"):
        return float(text == "true")
    if text.isdigit():
        return float(text)
    parts = [re.split(r"(?<=[0-9])(?=[a-zµ])", part) for part in re.split(r"(?<=[a-zµ])(?=[0-9])", text)]
    return float(sum(Fraction(amount) * NANOSECONDS[unit] for amount, unit in parts) / 10**9)


def expected(situation: Situation) -> Samples:
    """Return all samples of a recorded agent that was polled once."""
    health = (
        body_of(situation, "/v1/agent/health", 200, 500) or body_of(situation, "/v1/agent/health?stale", 200, 500) or {}
    )
    own = body_of(situation, "/v1/agent/self", 200)
    yield sample("up", own is not None)
    if own:
        yield from expected_of_self(own)
    if "server" in health or (own and "nomad" in own["stats"]):
        yield from expected_of_members(body_of(situation, "/v1/agent/members", 200))
    if own and own["stats"].get("nomad", {}).get("leader") == "true":
        yield from expected_of_autopilot(body_of(situation, "/v1/operator/autopilot/health", 200, 429))
    if responds_in_time(situation, "/v1/agent/self"):  # Otherwise its claims of the moment have ended.
        yield from expected_of_health(health)


def responds_in_time(situation: Situation, target: str) -> bool:
    response = situation.answers.get(target)
    return response is not None and response.seconds < TIMEOUT


def expected_of_health(health: Mapping[str, Any]) -> Samples:
    for role, check in health.items():
        yield sample("healthy", check["ok"], role=role)
    if "server" in health:
        yield sample("leader_reachable", health["server"]["ok"])


def expected_of_self(own: Mapping[str, Any]) -> Samples:
    stats, runtime = own["stats"], own["stats"]["runtime"]
    for group, texts in stats.items():
        for key, text in texts.items():
            if (f"{group}.{key}", text) not in NULL_VALUES:
                yield from expected_of_stat(f"{group}.{key}", text)
    yield sample("runtime_info", kernel_name=runtime["kernel.name"], arch=runtime["arch"], version=runtime["version"])
    if "nomad" in stats:
        yield sample("leader_known", stats["nomad"]["leader_addr"] != "")
    if "client" in stats:
        yield sample("client_registered", stats["client"]["heartbeat_ttl"] != "0s")
    yield from expected_of_configuration(own["config"], own["member"], stats)


def expected_of_stat(stat: str, text: str) -> Samples:
    if stat.startswith("runtime.") and not text.isdigit():
        return  # runtime_info has all of these.
    if stat == "nomad.leader_addr":
        yield sample("leader_info", address=text)
    elif stat == "raft.state":
        for state in ("Follower", "Candidate", "Leader", "Shutdown", "Unknown"):
            yield sample("raft_state", text == state, state=state)
    elif stat == "raft.latest_configuration":
        yield from expected_of_servers(text.strip("[{}]").split("} {"))
    elif stat == "raft.logstore_backend":
        yield sample("raft_logstore_info", backend=text)
    elif stat == "client.node_id":
        yield sample("client_info", node_id=text)
    elif stat == "client.known_servers":
        yield sample("client_known_servers", len(set(text.split(","))) if text else 0)
    else:
        yield sample(NAMES.get(stat, stat.removeprefix("nomad.").replace(".", "_")), number(text))


def expected_of_servers(servers: Iterable[str]) -> Samples:
    entries = [dict(field.split(":", 1) for field in server.split(" ")) for server in servers]
    for server in entries:
        yield sample("raft_server_info", id=server["ID"], address=server["Address"], suffrage=server["Suffrage"])
    for suffrage in ("Voter", "Nonvoter", "Staging"):
        yield sample("raft_servers", [server["Suffrage"] for server in entries].count(suffrage), suffrage=suffrage)


def expected_of_configuration(
    config: Mapping[str, Any], member: Mapping[str, Any], stats: Mapping[str, Any]
) -> Samples:
    version = config["Version"]
    yield sample(
        "info",
        member=member["Name"] or config["NodeName"],
        nomad_region=config["Region"],
        datacenter=config["Datacenter"],
        version=version["Version"] if isinstance(version, dict) else f"{version}-{config['VersionPrerelease']}",
        role=",".join(role for role, group in (("server", "nomad"), ("client", "client")) if group in stats),
    )
    yield sample("tls_http", config["TLSConfig"]["EnableHTTP"])
    if "VerifyHTTPSClient" in config["TLSConfig"]:
        yield sample("tls_verify_https_client", config["TLSConfig"]["VerifyHTTPSClient"])
    if "ACL" in config:
        yield sample("acl_enabled", config["ACL"]["Enabled"])
    if config["Server"]["BootstrapExpect"]:
        yield sample("bootstrap_expect", config["Server"]["BootstrapExpect"])


def expected_of_members(answer: Mapping[str, Any] | None) -> Samples:
    members = answer["Members"] if answer else []
    for member in members:
        tags = member["Tags"]
        yield sample(
            "member_info",
            member=member["Name"],
            id=tags.get("id", ""),
            address=f"{member['Addr']}:{tags['port']}",
            nomad_region=tags["region"],
            datacenter=tags["dc"],
            build=tags["build"],
            raft_version=tags.get("raft_vsn", ""),
            protocol=str(member["ProtocolCur"]),
            delegate=str(member["DelegateCur"]),
        )
    tally = Counter((member["Tags"]["region"], member["Status"]) for member in members)
    for status in ("alive", "leaving", "left", "failed"):
        for member in members:
            yield sample("member_status", member["Status"] == status, member=member["Name"], status=status)
        for region in {region for region, _ in tally}:
            yield sample("members", tally[region, status], nomad_region=region, status=status)


def expected_of_autopilot(answer: Mapping[str, Any] | None) -> Samples:
    if answer:
        yield sample("autopilot_healthy", answer["Healthy"])
        yield sample("autopilot_failure_tolerance", answer["FailureTolerance"])
    for server in answer["Servers"] if answer else []:
        yield sample("autopilot_server_healthy", server["Healthy"], member=server["Name"], address=server["Address"])


_MONITORED = {("agent", "monitored"), ("nomad_cluster", "default")}


def samples_of(situation: Situation) -> dict[Series, float]:
    """Return the samples that the agent reported, without the labels of the configuration, verdicts and counters."""
    text = page_of(replay({"monitored": situation}), AT, MAX_AGE, Format.TEXT).decode()
    return {
        (found.name, frozenset(found.labels.items() - _MONITORED)): found.value
        for family in read_text(text)
        for found in family.samples
        if found.name.startswith("nomad_agent_")
        and family.type != "counter"
        and not family.documentation.endswith(" (verdict)")
    }


@every_recorded_agent
def test_no_reported_value_is_lost(situation: Situation) -> None:
    lost = dict(expected(situation)).items() - samples_of(situation).items()

    assert lost == set()


@every_recorded_agent
def test_no_value_is_invented(situation: Situation) -> None:
    invented = samples_of(situation).items() - dict(expected(situation)).items()

    assert invented == set()


@pytest.mark.parametrize(("stat", "text"), NULL_VALUES, ids=lambda value: value or "empty")
def test_null_value_was_recorded_of_a_real_agent(stat: str, text: str) -> None:
    group, _, key = stat.partition(".")
    recorded = [body_of(situation, "/v1/agent/self", 200) for situation in SITUATIONS]

    assert text in {own["stats"].get(group, {}).get(key) for own in recorded if own}


@pytest.mark.parametrize("situation", golden_situations(), ids=lambda situation: situation.name)
def test_page_equals_golden_page(situation: Situation) -> None:
    assert golden(situation) == path(situation).read_text(), "run make golden and read the difference"


def test_golden_pages_are_those_of_the_table() -> None:
    assert {str(page.relative_to(GOLDEN).with_suffix("")) for page in GOLDEN.rglob("*.txt")} == set(AGENTS)


def read(reader: Callable[[str], Iterable[Metric]], text: str) -> Counter[tuple[Series, float]]:
    """Return how often ``reader`` finds each sample."""
    return Counter(
        ((found.name, frozenset(found.labels.items())), found.value)
        for family in reader(text)
        for found in family.samples
    )


@every_recorded_agent
def test_both_formats_have_the_same_unique_samples(situation: Situation) -> None:
    agents = replay({"monitored": situation})
    text = page_of(agents, AT, MAX_AGE, Format.TEXT) + Format.TEXT.trailer
    openmetrics = page_of(agents, AT, MAX_AGE, Format.OPENMETRICS) + Format.OPENMETRICS.trailer
    found = read(read_text, text.decode())

    assert found == read(read_openmetrics, openmetrics.decode())
    assert set(found.values()) == {1}


@pytest.mark.parametrize(
    "agents",
    [
        pytest.param(SITUATIONS, id="every recorded agent"),
        pytest.param([found for found in SITUATIONS if found.name == "2.0.5/single/bacon-mac"], id="one agent"),
    ],
)
def test_promtool_accepts_the_page(agents: Iterable[Situation]) -> None:
    text = page_of(replay({situation.name: situation for situation in agents}), AT, MAX_AGE, Format.TEXT)
    whole = text + SelfMetrics().page(Format.TEXT)
    checked = subprocess.run(
        [require_tool("promtool"), "check", "metrics"], input=whole, capture_output=True, check=False, timeout=20
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
