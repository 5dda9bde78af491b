"""``nomad-exporter check`` as monitoring runs it, on real sockets: a line for each agent, a true exit code."""

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
"""Where nobody will answer."""

SHORT = ("--timeout", "2s")
"""Where some will answer, and some will not."""

DEAD = "a port on which nobody listens"


@dataclass(frozen=True)
class Setting:
    """What is asked of agents in a situation, and what comes of it: how the first line begins, and the exit code."""

    question: str
    agents: Mapping[str, str]
    code: int
    line: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def one(situation: str) -> dict[str, str]:
    return {"a": situation}


def healthy(**instead: str) -> dict[str, str]:
    """Three servers, of which some are otherwise."""
    well = {"s1": "2.0.5/healthy/s1-follower", "s2": "2.0.5/healthy/s2-leader", "s3": "2.0.5/healthy/s3-follower"}
    return {**well, **instead}


FOLLOWER, CLIENT = "2.0.5/healthy/s1-follower", "2.0.5/healthy/c1-client"
FROZEN = "2.0.5/frozen/s1-follower"
LEADERLESS = "2.0.5/no-leader/s3-follower"
CUT_OFF = "2.0.5/no-leader-for-long/c1-client"
DENIED = "2.0.5/acl/anonymous"

SETTINGS = {
    "a well server lives": Setting("live", one(FOLLOWER), 0, "OK a live: The agent answers."),
    "a well server is ready": Setting("ready", one(FOLLOWER), 0, "OK a ready: The server can do its work."),
    "a well client is ready": Setting("ready", one(CLIENT), 0, "OK a ready: The client can do its work."),
    "a well server is healthy": Setting("health", one(FOLLOWER), 0, "OK a health: Nomad says of the server: ok."),
    "an old one too": Setting("ready", one("1.6.10/healthy/s1-follower"), 0, "OK a ready: "),
    "the leader just died": Setting(
        "ready", one("2.0.5/leader-just-died/s3-follower"), 2, "CRITICAL a ready: leader_unr"
    ),
    "no leader": Setting(
        "ready", one(LEADERLESS), 2, "CRITICAL a ready: no_leader: The server is unhealthy: no leader."
    ),
    "no leader, in the words of Nomad": Setting(
        "health", one(LEADERLESS), 2, "CRITICAL a health: unhealthy: Nomad says of the server: no leader."
    ),
    "no leader, and yet it lives": Setting("live", one(LEADERLESS), 0, "OK a live: "),
    "dead": Setting("live", one(DEAD), 2, "CRITICAL a live: unresponsive: "),
    "dead, and so not ready": Setting("ready", one(DEAD), 2, "CRITICAL a ready: unresponsive: ", BRIEF),
    "dead, where a warning is enough": Setting("ready", one(DEAD), 1, "WARNING a ready: unresponsive: ", ("--warn",)),
    "frozen": Setting("live", one(FROZEN), 2, "CRITICAL a live: unresponsive: ", BRIEF),
    "frozen, within the time of a poll": Setting(
        "ready", one(FROZEN), 2, "CRITICAL a ready: unresponsive: ", ("--poll.timeout", "500ms")
    ),
    "a client cut off from its servers": Setting("ready", one(CUT_OFF), 2, "CRITICAL a ready: servers_unreachable: "),
    "the same, in the words of Nomad": Setting("health", one(CUT_OFF), 0, "OK a health: Nomad says of the client: ok."),
    "a client that cannot have the token judged": Setting(
        "ready", one("2.0.5/acl-servers-killed/c1-client"), 2, "CRITICAL a ready: servers_unreachable: ", SHORT
    ),
    "without a token": Setting("ready", one(DENIED), 3, "UNKNOWN a ready: poll_error: "),
    "without a token, where a warning is enough": Setting("ready", one(DENIED), 3, "UNKNOWN a ready: ", ("--warn",)),
    "without a token it lives": Setting("live", one(DENIED), 0, "OK a live: "),
    "without a token it is healthy": Setting("health", one(DENIED), 0, "OK a health: "),
    "without a token nobody knows the quorum": Setting("quorum", one(DENIED), 3, "UNKNOWN a quorum: unknown: "),
    "a token file that is not there": Setting(
        "live", one(FOLLOWER), 3, "UNKNOWN a live: poll_error: ", env={"NOMAD_EXPORTER_NOMAD_TOKEN_FILE": "/no/such"}
    ),
    "three of three servers": Setting("quorum", healthy(), 0, "OK s1 quorum: 3 of 3 voters are well, 2 are needed"),
    "two of three servers": Setting(
        "quorum", healthy(s3=DEAD), 2, "CRITICAL s1 quorum: insufficient_evidence: 2 of 3", BRIEF
    ),
    "two of three, and the third is frozen": Setting(
        "quorum", healthy(s3=FROZEN), 2, "CRITICAL s1 quorum: insufficient_evidence: 2 of 3", ("--agent", "s1", *SHORT)
    ),
    "two of three, where gossip would vouch for the third": Setting(
        "quorum",
        healthy(s3=DEAD),
        2,
        "CRITICAL s2 quorum: insufficient_evidence: ",
        ("--agent", "s2", "--verdict.trust-gossip"),
    ),
    "one server of three, alone": Setting("quorum", {"s1": FOLLOWER}, 2, "CRITICAL s1 quorum: insufficient_evidence: "),
    "one of three that trusts gossip": Setting(
        "quorum", {"s1": FOLLOWER}, 0, "OK s1 quorum: ", ("--verdict.trust-gossip",)
    ),
    "only one is asked about": Setting("ready", healthy(s3=DEAD), 0, "OK s2 ready: ", ("--agent", "s2")),
    "the worst is told first": Setting("ready", healthy(s2=LEADERLESS), 2, "CRITICAL s2 ready: no_leader: "),
    "a dead one is worse than one that keeps us out": Setting("ready", healthy(s1=DENIED, s3=DEAD), 2, "CRITICAL s3 "),
    "one that keeps us out is worse than a warning": Setting(
        "ready", healthy(s1=DENIED, s3=DEAD), 3, "UNKNOWN s1 ", ("--warn",)
    ),
    "a client may be stopped": Setting(
        "quorum", {**healthy(), "c": CLIENT}, 0, "OK c quorum: not_a_v", ("--agent", "c")
    ),
}


@contextlib.contextmanager
def served(situations: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The URL of each agent, by name; all are served as they were recorded."""
    with contextlib.ExitStack() as stack:
        yield {
            name: f"http://127.0.0.1:{free_port()}"
            if situation == DEAD
            else stack.enter_context(RecordedAgent(situation)).url
            for name, situation in situations.items()
        }


def fleet_file(folder: Path, urls: Mapping[str, str], **shared: str) -> str:
    """A file that lists the agents. YAML takes JSON."""
    path = folder / "fleet.yml"
    agents = [{"name": name, "address": url} for name, url in urls.items()]
    path.write_text(json.dumps({"agents": agents, "defaults": shared}))
    return str(path)


def check(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command, run to its end: whatever happens, it says nothing but its lines."""
    ended = run("check", *arguments, env=env)
    assert "Traceback" not in ended.stderr
    return ended


@pytest.mark.parametrize("row", SETTINGS.values(), ids=SETTINGS)
def test_a_situation_has_its_line_and_its_exit_code(row: Setting, tmp_path: Path) -> None:
    with served(row.agents) as urls:
        alone = ["--nomad.address", *urls.values(), "--nomad.agent-name", *urls]
        told = alone if len(urls) == 1 else ["--config.file", fleet_file(tmp_path, urls)]
        ended = check(row.question, *told, *row.arguments, env=row.env)

    assert (ended.returncode, ended.stderr) == (row.code, "")
    assert ended.stdout.startswith(row.line)
    assert len(ended.stdout.splitlines()) == (1 if "--agent" in row.arguments else len(urls))


@pytest.mark.parametrize("question", ["live", "ready", "quorum", "health"])
def test_json_says_the_same_as_the_line(question: str, tmp_path: Path) -> None:
    with served(healthy(s2=LEADERLESS)) as urls:
        file = fleet_file(tmp_path, urls)
        plain = check(question, "--config.file", file)
        ended = check(question, "--config.file", file, "--json")

    told = json.loads(ended.stdout)
    assert ended.returncode == plain.returncode
    assert told["verdict"] == question
    assert told["ok"] is (ended.returncode == 0)
    lines = {f"{one['state']} {one['agent']} {question}" for one in told["agents"]}
    assert lines == {line.partition(":")[0] for line in plain.stdout.splitlines()}
    for agent in told["agents"]:
        assert {"ok", "reason", "message", "details", "ages"} < set(agent)


def test_one_agent_has_the_numbers_behind_the_verdict_in_json() -> None:
    with served(one(FOLLOWER)) as urls:
        told = json.loads(check("--nomad.address", urls["a"], "--json").stdout)

    assert (told["verdict"], told["ok"], told["reason"]) == ("ready", True, "ok")
    assert told["details"]["raft_state"] == "Follower"
    assert set(told["ages"]) == {"attempt", "health", "self"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("sleepy",), "'sleepy' is not one of 'live', 'ready', 'quorum', 'health'", id="a wrong question"),
        pytest.param(("--agent", "nobody", "--nomad.agent-name", "s1"), "known: s1", id="an unknown agent"),
        pytest.param(("--nomad.adress", "x"), "No such option '--nomad.adress'", id="a flag that is none"),
        pytest.param(("--nomad.address", "nomad:4646"), "'--nomad.address'", id="a wrong address"),
        pytest.param(("--timeout", "soon"), "'--timeout'", id="a wrong time-out"),
        pytest.param(("--nomad.cert-file", "x"), "needs --nomad.key-file beside it", id="half of a pair of settings"),
        pytest.param(("--config.file", "/no/such/file"), "/no/such/file", id="a file that is not there"),
        pytest.param(("--nomad.cert-file", "c"), "--nomad.cert-file: needs --nomad.key-file", id="half a certificate"),
        pytest.param(("ready", "quorum"), "quorum", id="two questions"),
    ],
)
def test_a_wrong_use_is_one_line_and_exit_code_3(arguments: tuple[str, ...], words: str) -> None:
    ended = check(*arguments)

    assert (ended.returncode, ended.stdout) == (3, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("nomad-exporter: ")
    assert words in line


def test_a_wrong_variable_is_exit_code_3_too() -> None:
    assert check(env={"NOMAD_ADDR": "nomad"}).returncode == 3
    assert check(env={"NOMAD_EXPORTER_POLL_INTERVAL": "soon"}).returncode == 3


def test_the_variables_of_the_nomad_command_say_who_is_asked_and_with_which_token() -> None:
    with RecordedAgent(FOLLOWER) as agent:
        ended = check(env={"NOMAD_ADDR": agent.url, "NOMAD_TOKEN": "5ecret00-70ce"})

    assert ended.returncode == 0
    assert {headers["x-nomad-token"] for _, headers in agent.asked} == {"5ecret00-70ce"}
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
def test_an_agent_is_asked_once_and_only_for_what_is_needed(question: str, paths: set[str]) -> None:
    with RecordedAgent(FOLLOWER) as agent:
        check(question, "--nomad.address", agent.url)

    asked = [path for path, _ in agent.asked]
    assert sorted(asked) == sorted(paths)


def test_a_leader_that_does_not_answer_is_told() -> None:
    with scripted(blackholed_leader) as address:
        ended = check("ready", "--nomad.address", str(address), *SHORT)

    assert ended.returncode == 2
    assert "ready: leader_unreachable: The server is unhealthy: leader did not answer within" in ended.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """The certificates of a cluster."""
    return make_certificates(tmp_path_factory.mktemp("tls"), [], ["global"], datetime.now(UTC))


@pytest.fixture(scope="module")
def guarded(files: CertificateFiles) -> Iterator[str]:
    """The URL of a server that wants a client certificate."""
    (setup,) = server_setups(1)
    tls = files.tls("server", "global", verify_https_client=True)
    cluster = Cluster([replace(setup, tls=tls)], Timing(), 1, time.time() - 60)
    with serve_cluster(NomadApi(cluster)) as sim:
        yield sim.url("s1.global")


def named(tls: Tls) -> dict[str, str]:
    return {"NOMAD_CACERT": tls.ca_file, "NOMAD_CLIENT_CERT": tls.cert_file, "NOMAD_CLIENT_KEY": tls.key_file}


def test_an_agent_behind_mutual_tls_is_ready_for_whoever_has_a_certificate(
    guarded: str, files: CertificateFiles
) -> None:
    ended = check(env={"NOMAD_ADDR": guarded, **named(files.tls("cli", "global"))})

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        pytest.param({"NOMAD_CACERT"}, "the agent's certificate was refused", id="we do not trust it"),
        pytest.param(
            {"NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY"}, "wants a client certificate", id="it does not trust us"
        ),
    ],
)
def test_where_tls_refuses_the_agent_lives_and_nobody_knows_more(
    guarded: str, files: CertificateFiles, lacking: set[str], words: str
) -> None:
    shown = {name: path for name, path in named(files.tls("cli", "global")).items() if name not in lacking}
    ready, live = (check(question, env={"NOMAD_ADDR": guarded, **shown}) for question in ("ready", "live"))

    assert (ready.returncode, live.returncode) == (2, 0)
    assert "ready: poll_error: " in ready.stdout
    assert words in ready.stdout


def test_a_simulated_cluster_is_judged_as_a_real_one(tmp_path: Path) -> None:
    with serve_cluster_manually(play_scenario("2.0.5", "healthy")) as sim:
        names = ("s1.global", "s2.global", "s3.global")
        file = fleet_file(tmp_path, {name: sim.url(name) for name in names})
        well = check("quorum", "--config.file", file)
        sim.do(lambda cluster: cluster.kill("s1.global"))
        hurt = check("quorum", "--config.file", file, "--agent", "s2.global")

    assert well.returncode == 0, well.stdout
    assert hurt.returncode == 2
    assert hurt.stdout.startswith("CRITICAL s2.global quorum: ")


UNRESOLVED = """
import socket, sys, threading
def getaddrinfo(*_, **__):
    print("resolving", flush=True)
    threading.Event().wait()
socket.getaddrinfo = getaddrinfo
from nomad_exporter import cli
cli.main()
"""
"""A machine whose resolver never answers."""


@contextlib.contextmanager
def unresolved(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A check on such a machine, of an agent that has a name."""
    words = [sys.executable, "-c", UNRESOLVED, "check", "--nomad.address", "http://nomad.example.org", *arguments]
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_name_that_nobody_resolves_is_a_silent_agent_and_not_a_check_that_hangs() -> None:
    with unresolved("live", *BRIEF) as process:
        out, err = process.communicate(timeout=PATIENCE)

        assert (process.returncode, err) == (2, "")
        assert "CRITICAL nomad.example.org:80 live: unresponsive: " in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_who_is_tired_of_waiting_ends_it_and_is_not_told_that_all_is_well(number: signal.Signals) -> None:
    with unresolved("--timeout", "1m") as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)

        assert (process.returncode, err) == (-number, "")


def test_where_nobody_can_read_the_line_the_exit_code_is_still_true() -> None:
    with served(one(LEADERLESS)) as urls, Path("/dev/full").open("w") as full:
        words = command("check", "--nomad.address", urls["a"])
        ended = subprocess.run(
            words, env=environment(), stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )

    assert (ended.returncode, ended.stderr) == (2, b"")


def test_a_name_that_the_terminal_cannot_show_does_no_harm() -> None:
    with served(one(FOLLOWER)) as urls:
        ended = check("--nomad.address", urls["a"], "--nomad.agent-name", "köln", env={"PYTHONIOENCODING": "ascii"})

    assert (ended.returncode, ended.stdout.split(" ready")[0]) == (0, r"OK k\xf6ln")


def test_nothing_is_imported_that_a_check_does_not_need() -> None:
    script = (
        "import sys; from nomad_exporter import cli; cli._run(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    with RecordedAgent(FOLLOWER) as agent:
        words = [sys.executable, "-c", script, "check", "--nomad.address", agent.url]
        ended = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=True)

    loaded = set(ended.stdout.splitlines()[-1].split())
    assert {"nomad_exporter", "requests"} <= loaded
    assert not loaded & {"apscheduler", "prometheus_client", "uvicorn", "uvloop", "asyncio", "cryptography"}
