"""``nomad-exporter check`` over real sockets: one line for each agent, and the exit code."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nomad_sim.api.routes import NomadApi
from nomad_sim.certificates import CertificateFiles, make_certificates
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Tls
from tests.support.agents import RecordedAgent, blackholed_leader, free_port, scripted
from tests.support.clusters import server_setups
from tests.support.exporter import command, environment, run
from tests.support.scenarios import play_scenario
from tests.support.sim_cluster import serve_cluster, serve_cluster_manually
from tests.support.waiting import PATIENCE

BRIEF = ("--timeout", "500ms")
"""For checks in which no agent responds."""

SHORT = ("--timeout", "2s")
"""For checks in which only some agents respond."""

DEAD = "a port on which nothing listens"


@dataclass(frozen=True)
class Case:
    """A check of agents in recorded situations, with the expected exit code and the start of the first line."""

    question: str
    agents: Mapping[str, str]
    code: int
    line: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def one(situation: str) -> dict[str, str]:
    return {"a": situation}


def healthy(**replaced: str) -> dict[str, str]:
    """Return three healthy servers, some of them replaced by other situations."""
    servers = {"s1": "2.0.5/healthy/s1-follower", "s2": "2.0.5/healthy/s2-leader", "s3": "2.0.5/healthy/s3-follower"}
    return {**servers, **replaced}


FOLLOWER, CLIENT = "2.0.5/healthy/s1-follower", "2.0.5/healthy/c1-client"
FROZEN = "2.0.5/frozen/s1-follower"
LEADERLESS = "2.0.5/no-leader/s3-follower"
CUT_OFF = "2.0.5/no-leader-for-long/c1-client"
DENIED = "2.0.5/acl/anonymous"

CASES = {
    "healthy server is live": Case("live", one(FOLLOWER), 0, "OK a live: The agent is responding."),
    "healthy server is ready": Case("ready", one(FOLLOWER), 0, "OK a ready: The server is ready."),
    "healthy client is ready": Case("ready", one(CLIENT), 0, "OK a ready: The client is ready."),
    "healthy server reports its health": Case("health", one(FOLLOWER), 0, "OK a health: Nomad reports server: ok."),
    "server of an old version": Case("ready", one("1.6.10/healthy/s1-follower"), 0, "OK a ready: "),
    "leader just died": Case(
        "ready", one("2.0.5/leader-just-died/s3-follower"), 2, "CRITICAL a ready: leader_unreachable: "
    ),
    "no leader": Case(
        "ready", one(LEADERLESS), 2, "CRITICAL a ready: no_leader: The server's health check fails: no leader."
    ),
    "no leader, health of Nomad": Case(
        "health", one(LEADERLESS), 2, "CRITICAL a health: unhealthy: Nomad reports server: no leader."
    ),
    "no leader, live": Case("live", one(LEADERLESS), 0, "OK a live: "),
    "dead": Case("live", one(DEAD), 2, "CRITICAL a live: unresponsive: "),
    "dead, ready": Case("ready", one(DEAD), 2, "CRITICAL a ready: unresponsive: ", BRIEF),
    "dead, as a warning": Case("ready", one(DEAD), 1, "WARNING a ready: unresponsive: ", ("--warn",)),
    "frozen": Case("live", one(FROZEN), 2, "CRITICAL a live: unresponsive: ", BRIEF),
    "frozen, with a poll timeout": Case(
        "ready", one(FROZEN), 2, "CRITICAL a ready: unresponsive: ", ("--poll.timeout", "500ms")
    ),
    "client without contact to its servers": Case("ready", one(CUT_OFF), 2, "CRITICAL a ready: servers_unreachable: "),
    "client without contact, health of Nomad": Case(
        "health", one(CUT_OFF), 0, "OK a health: Nomad reports client: ok."
    ),
    "client that cannot validate the token": Case(
        "ready", one("2.0.5/acl-servers-killed/c1-client"), 2, "CRITICAL a ready: servers_unreachable: ", SHORT
    ),
    "no token": Case("ready", one(DENIED), 3, "UNKNOWN a ready: poll_error: "),
    "no token, as a warning": Case("ready", one(DENIED), 3, "UNKNOWN a ready: ", ("--warn",)),
    "no token, live": Case("live", one(DENIED), 0, "OK a live: "),
    "no token, health of Nomad": Case("health", one(DENIED), 0, "OK a health: "),
    "no token, quorum": Case("quorum", one(DENIED), 3, "UNKNOWN a quorum: unknown: "),
    "missing token file": Case(
        "live", one(FOLLOWER), 3, "UNKNOWN a live: poll_error: ", env={"NOMAD_EXPORTER_NOMAD_TOKEN_FILE": "/no/such"}
    ),
    "3 of 3 servers": Case("quorum", healthy(), 0, "OK s1 quorum: Safe to stop: 3 of 3 voters healthy, 2 needed"),
    "2 of 3 servers": Case(
        "quorum",
        healthy(s3=DEAD),
        2,
        "CRITICAL s1 quorum: insufficient_evidence: 2 of 3 voters healthy",
        BRIEF,
    ),
    "2 of 3 servers, the third is frozen": Case(
        "quorum",
        healthy(s3=FROZEN),
        2,
        "CRITICAL s1 quorum: insufficient_evidence: 2 of 3 voters healthy",
        ("--agent", "s1", *SHORT),
    ),
    "2 of 3 servers, gossip is trusted": Case(
        "quorum",
        healthy(s3=DEAD),
        2,
        "CRITICAL s2 quorum: insufficient_evidence: ",
        ("--agent", "s2", "--verdict.trust-gossip"),
    ),
    "1 of 3 servers": Case("quorum", {"s1": FOLLOWER}, 2, "CRITICAL s1 quorum: insufficient_evidence: "),
    "1 of 3 servers, gossip is trusted": Case(
        "quorum", {"s1": FOLLOWER}, 0, "OK s1 quorum: ", ("--verdict.trust-gossip",)
    ),
    "one agent selected": Case("ready", healthy(s3=DEAD), 0, "OK s2 ready: ", ("--agent", "s2")),
    "worst agent is first": Case("ready", healthy(s2=LEADERLESS), 2, "CRITICAL s2 ready: no_leader: "),
    "dead is worse than no token": Case("ready", healthy(s1=DENIED, s3=DEAD), 2, "CRITICAL s3 "),
    "no token is worse than a warning": Case("ready", healthy(s1=DENIED, s3=DEAD), 3, "UNKNOWN s1 ", ("--warn",)),
    "client, quorum": Case("quorum", {**healthy(), "c": CLIENT}, 0, "OK c quorum: not_a_voter: ", ("--agent", "c")),
}


@contextlib.contextmanager
def served(situations: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Serve all agents as recorded within the block, and yield their URLs by name."""
    with contextlib.ExitStack() as stack:
        yield {
            name: f"http://127.0.0.1:{free_port()}"
            if situation == DEAD
            else stack.enter_context(RecordedAgent(situation)).url
            for name, situation in situations.items()
        }


def fleet_file(folder: Path, urls: Mapping[str, str]) -> str:
    """Write a configuration file that lists the agents, and return its path."""
    path = folder / "fleet.yml"
    agents = [{"name": name, "address": url} for name, url in urls.items()]
    path.write_text(json.dumps({"agents": agents}))  # YAML includes JSON.
    return str(path)


def check(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a check to its end. Its error output never has a traceback."""
    ended = run("check", *arguments, env=env)
    assert "Traceback" not in ended.stderr
    return ended


def lines_of_agents(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines without the remedies."""
    return [line for line in ended.stdout.splitlines() if not line.startswith("  ")]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_situation_has_its_line_and_exit_code(case: Case, tmp_path: Path) -> None:
    with served(case.agents) as urls:
        single = ["--nomad.address", *urls.values(), "--nomad.agent-name", *urls]
        agents = single if len(urls) == 1 else ["--config.file", fleet_file(tmp_path, urls)]
        ended = check(case.question, *agents, *case.arguments, env=case.env)

    assert (ended.returncode, ended.stderr) == (case.code, "")
    assert ended.stdout.startswith(case.line)
    assert len(lines_of_agents(ended)) == (1 if "--agent" in case.arguments else len(urls))
    assert ("  Remedy" in ended.stdout) is (ended.returncode != 0)


@pytest.mark.parametrize("question", ["live", "ready", "quorum", "health"])
def test_json_has_the_same_result_as_the_lines(question: str, tmp_path: Path) -> None:
    with served(healthy(s2=LEADERLESS)) as urls:
        file = fleet_file(tmp_path, urls)
        plain = check(question, "--config.file", file)
        ended = check(question, "--config.file", file, "--json")

    result = json.loads(ended.stdout)
    assert ended.returncode == plain.returncode
    assert result["verdict"] == question
    assert result["ok"] is (ended.returncode == 0)
    lines = {f"{agent['state']} {agent['agent']} {question}" for agent in result["agents"]}
    assert lines == {line.partition(":")[0] for line in lines_of_agents(plain)}
    for agent in result["agents"]:
        assert {"ok", "reason", "message", "remedy", "details", "ages"} < set(agent)


def test_json_of_one_agent_has_details_and_ages() -> None:
    with served(one(FOLLOWER)) as urls:
        result = json.loads(check("--nomad.address", urls["a"], "--json").stdout)

    assert (result["verdict"], result["ok"], result["reason"]) == ("ready", True, "ok")
    assert result["details"]["raft_state"] == "Follower"
    assert set(result["ages"]) == {"poll", "health", "self"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(("sleepy",), "'sleepy' is not one of 'live', 'ready', 'quorum', 'health'", id="unknown question"),
        pytest.param(
            ("--agent", "nobody", "--nomad.agent-name", "s1"),
            "--agent must be one of s1 (got 'nobody')",
            id="unknown agent",
        ),
        pytest.param(("--nomad.adress", "x"), "No such option '--nomad.adress'", id="unknown flag"),
        pytest.param(("--nomad.address", "nomad:4646"), "--nomad.address must be a URL such as", id="invalid address"),
        pytest.param(("--timeout", "soon"), "--timeout must be a duration such as", id="invalid timeout"),
        pytest.param(
            ("--nomad.key-file", "x"), "--nomad.key-file requires --nomad.cert-file", id="key without a certificate"
        ),
        pytest.param(("--config.file", "/no/such/file"), "/no/such/file", id="missing file"),
        pytest.param(
            ("--nomad.cert-file", "c"), "--nomad.cert-file requires --nomad.key-file", id="certificate without a key"
        ),
        pytest.param(("ready", "quorum"), "quorum", id="two questions"),
    ],
)
def test_invalid_usage_is_one_line_and_exit_code_3(arguments: tuple[str, ...], text: str) -> None:
    ended = check(*arguments)

    assert (ended.returncode, ended.stdout) == (3, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("nomad-exporter: ")
    assert text in line


def test_invalid_variable_is_exit_code_3() -> None:
    assert check(env={"NOMAD_ADDR": "nomad"}).returncode == 3
    assert check(env={"NOMAD_EXPORTER_POLL_INTERVAL": "soon"}).returncode == 3


def test_variables_of_nomad_set_address_and_token() -> None:
    with RecordedAgent(FOLLOWER) as agent:
        ended = check(env={"NOMAD_ADDR": agent.url, "NOMAD_TOKEN": "5ecret00-70ce"})

    assert ended.returncode == 0
    assert {headers["x-nomad-token"] for _, headers in agent.requests} == {"5ecret00-70ce"}
    assert "5ecret00" not in ended.stdout


@pytest.mark.parametrize(
    ("question", "paths"),
    [
        ("live", {"/v1/agent/health?stale", "/v1/agent/health"}),
        ("health", {"/v1/agent/health?stale", "/v1/agent/health"}),
        ("ready", {"/v1/agent/health?stale", "/v1/agent/health", "/v1/agent/self"}),
        ("quorum", {"/v1/agent/health?stale", "/v1/agent/health", "/v1/agent/self", "/v1/agent/members"}),
    ],
)
def test_check_polls_only_the_required_sources_once(question: str, paths: set[str]) -> None:
    with RecordedAgent(FOLLOWER) as agent:
        check(question, "--nomad.address", agent.url)

    assert sorted(path for path, _ in agent.requests) == sorted(paths)


def test_unresponsive_leader_is_reported() -> None:
    with scripted(blackholed_leader) as address:
        ended = check("ready", "--nomad.address", str(address), *SHORT)

    assert ended.returncode == 2
    assert "ready: leader_unreachable: The server's health check fails: leader did not respond within" in ended.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """Return the certificate files of a cluster."""
    return make_certificates(tmp_path_factory.mktemp("tls"), [], ["global"], datetime.now(UTC))


@pytest.fixture(scope="module")
def mtls_url(files: CertificateFiles) -> Iterator[str]:
    """Yield the URL of a server that requires a client certificate."""
    (setup,) = server_setups(1)
    tls = files.tls("server", "global", verify_https_client=True)
    cluster = Cluster([replace(setup, tls=tls)], Timing(), 1, time.time() - 60)
    with serve_cluster(NomadApi(cluster)) as sim:
        yield sim.url("s1.global")


def tls_variables(tls: Tls) -> dict[str, str]:
    return {"NOMAD_CACERT": tls.ca_file, "NOMAD_CLIENT_CERT": tls.cert_file, "NOMAD_CLIENT_KEY": tls.key_file}


def test_agent_with_mutual_tls_accepts_a_client_certificate(mtls_url: str, files: CertificateFiles) -> None:
    ended = check(env={"NOMAD_ADDR": mtls_url, **tls_variables(files.tls("cli", "global"))})

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        pytest.param({"NOMAD_CACERT"}, "cannot verify agent certificate", id="no CA"),
        pytest.param(
            {"NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY"}, "requires a client certificate", id="no client certificate"
        ),
    ],
)
def test_tls_failure_is_live_but_not_ready(
    mtls_url: str, files: CertificateFiles, missing: set[str], text: str
) -> None:
    variables = {name: path for name, path in tls_variables(files.tls("cli", "global")).items() if name not in missing}
    ready, live = (check(question, env={"NOMAD_ADDR": mtls_url, **variables}) for question in ("ready", "live"))

    assert (ready.returncode, live.returncode) == (2, 0)
    assert "ready: poll_error: " in ready.stdout
    assert text in ready.stdout


def test_simulated_cluster_has_the_verdicts_of_a_real_one(tmp_path: Path) -> None:
    with serve_cluster_manually(play_scenario("2.0.5", "healthy")) as sim:
        names = ("s1.global", "s2.global", "s3.global")
        file = fleet_file(tmp_path, {name: sim.url(name) for name in names})
        before = check("quorum", "--config.file", file)
        sim.do(lambda cluster: cluster.kill("s1.global"))
        after = check("quorum", "--config.file", file, "--agent", "s2.global")

    assert before.returncode == 0, before.stdout
    assert after.returncode == 2
    assert after.stdout.startswith("CRITICAL s2.global quorum: ")


UNRESOLVED = """
import socket, sys, threading
def getaddrinfo(*_, flags=0, **__):
    if flags & socket.AI_NUMERICHOST:
        raise socket.gaierror(socket.EAI_NONAME, "no IP address")
    print("resolving", flush=True)
    threading.Event().wait()
socket.getaddrinfo = getaddrinfo
from nomad_exporter import cli
cli.main()
"""
"""A program on a machine whose resolver never responds."""


@contextlib.contextmanager
def unresolved(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run such a check within the block, of an agent with a host name."""
    address = ("--nomad.address", "http://nomad.example.org:4646")
    program = [sys.executable, "-c", UNRESOLVED, "check", *address, *arguments]
    with subprocess.Popen(
        program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_hanging_name_resolution_proves_nothing() -> None:
    with unresolved("live", *BRIEF) as process:
        out, err = process.communicate(timeout=PATIENCE)

        assert (process.returncode, err) == (3, "")
        assert "UNKNOWN nomad.example.org:4646 live: " in out
        assert "cannot resolve host name" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_check_without_exit_code_0(number: signal.Signals) -> None:
    with unresolved("--timeout", "1m") as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)

        assert (process.returncode, err) == (-number, "")


def test_exit_code_is_correct_if_output_cannot_be_written() -> None:
    with served(one(LEADERLESS)) as urls, Path("/dev/full").open("w") as full:
        program = command("check", "--nomad.address", urls["a"])
        ended = subprocess.run(
            program, env=environment(), stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )

    assert (ended.returncode, ended.stderr) == (2, b"")


def test_name_outside_the_output_encoding_is_escaped() -> None:
    with served(one(FOLLOWER)) as urls:
        ended = check("--nomad.address", urls["a"], "--nomad.agent-name", "köln", env={"PYTHONIOENCODING": "ascii"})

    assert (ended.returncode, ended.stdout.split(" ready")[0]) == (0, r"OK k\xf6ln")


def test_check_does_not_import_the_server() -> None:
    script = (
        "import sys; from nomad_exporter import cli; cli._run(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    with RecordedAgent(FOLLOWER) as agent:
        program = [sys.executable, "-c", script, "check", "--nomad.address", agent.url]
        ended = subprocess.run(program, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=True)

    loaded = set(ended.stdout.splitlines()[-1].split())
    assert {"nomad_exporter", "requests"} <= loaded
    assert not loaded & {"apscheduler", "prometheus_client", "uvicorn", "uvloop", "asyncio", "cryptography"}
