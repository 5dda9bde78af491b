"""No secret leaves the exporter but to the agent it is for: on no page, in no header, in no line of the log."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.agents import RecordedAgent, Script, scripted
from tests.support.exporter import Exporter, run, running
from tests.support.recordings import situation
from tests.support.waiting import eventually

TOKEN = "5ecret00-70ce-4aaa-bbbb-0123456789ab"
PASSWORD = "passw0rd-of-the-proxy"
LICENCE = "02MV4UU43BK5HGYYTOJZWFQMTMNNEWU33J"
SECRETS = (TOKEN, PASSWORD, LICENCE, "cG9sbGVyOnBhc3N3MHJkLW9mLXRoZS1wcm94eQ", "root-token-of-consul", "vault-tok3n")

PATHS = (
    "/",
    "/metrics",
    "/metrics?agent=s1",
    "/metrics?agent=nobody",
    "/health",
    "/health?type=server",
    "/health?type=nothing",
    "/v1/agent/health?stale",
    "/v1/agent/health?stale=maybe",
    "/-/healthy",
    "/-/ready",
    "/nothing",
)


def self_full_of_secrets() -> bytes:
    """A recorded answer to ``self`` with a secret wherever a real agent can have one."""
    told = json.loads(situation("2.0.5/healthy/s1-follower").answers["/v1/agent/self"].body)
    told["config"]["Server"]["LicenseEnv"] = LICENCE
    told["config"]["Client"]["IntroToken"] = TOKEN
    told["config"]["Consuls"][0]["Token"] = "root-token-of-consul"
    told["config"]["Consuls"][0]["Auth"] = f"poller:{PASSWORD}"
    told["config"]["Vaults"][0]["Token"] = "vault-tok3n"
    told["config"]["HTTPAPIResponseHeaders"] = {"X-Token": TOKEN}
    told["stats"]["nomad"]["replication_token"] = TOKEN
    told["stats"]["licence"] = {"text": LICENCE}
    return json.dumps(told).encode()


def saying(status: str, body: bytes, more: str = "") -> Script:
    def script(connection: socket.socket, _: threading.Event) -> None:
        while connection.recv(65536):
            head = f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    return script


def echo(connection: socket.socket, _: threading.Event) -> None:
    """Answers with the request itself, its headers and so its secrets, as the status line and the body."""
    request = connection.recv(65536)
    connection.sendall(b"HTTP/1.1 500 " + request.replace(b"\r\n", b" ") + b"\r\nX-Echo: " + TOKEN.encode())
    connection.sendall(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(request), request))


AGENTS: dict[str, Script] = {
    "an agent full of secrets": saying("200 OK", self_full_of_secrets()),
    "one that echoes the request": echo,
    "one that rejects the token and names it": saying("403 Forbidden", f"ACL token not found: {TOKEN}".encode()),
    "one that fails and names it": saying("500 Oops", f"acl token lookup failed: {TOKEN}".encode()),
    "one that redirects with it": saying("302 Found", b"", f"Location: http://127.0.0.1:1/?token={TOKEN}\r\n"),
    "one that sends it as a broken answer": saying("200 OK", b'{"stats": {"nomad": "' + TOKEN.encode() + b'"'),
    "one that sends it where a number belongs": saying(
        "200 OK", json.dumps({"stats": {"nomad": {}, "raft": {"term": TOKEN}}, "member": TOKEN}).encode()
    ),
    "one that sets cookies": saying("200 OK", b"{}", f"Set-Cookie: token={TOKEN}\r\n"),
    "one that speaks no HTTP": lambda connection, _: connection.sendall(f"TOKEN {TOKEN}\r\n".encode()),
}


@pytest.fixture(params=list(AGENTS.values()), ids=list(AGENTS))
def exporter(request: pytest.FixtureRequest) -> Iterator[Exporter]:
    """An exporter that was given a token and a password and has asked the agent for everything at least twice."""
    environment = {"NOMAD_TOKEN": TOKEN, "NOMAD_HTTP_AUTH": f"poller:{PASSWORD}"}
    cadence = ("--poll.interval", "100ms", "--poll.health-interval", "100ms", "--log.level", "debug")
    with (
        scripted(request.param) as address,
        running("--nomad.address", str(address), "--nomad.agent-name", "s1", *cadence, env=environment) as started,
    ):
        eventually(lambda: polls(started) >= 2)
        yield started


def polls(exporter: Exporter) -> float:
    lines = exporter.get("/metrics").text.splitlines()
    return min(
        float(line.split()[-1]) for line in lines if line.startswith("nomad_exporter_polls") and '"self"' in line
    )


def shown(exporter: Exporter) -> str:
    """All that can be seen of the exporter: every page with its headers, and the log."""
    answers = [exporter.get(path) for path in PATHS] + [requests.post(exporter.url + "/metrics", timeout=5)]
    pages = [f"{answer.headers} {answer.text}" for answer in answers]
    return "\n".join([*pages, *exporter.log])


def test_nothing_that_can_be_seen_holds_a_secret(exporter: Exporter) -> None:
    seen = shown(exporter)

    assert not [secret for secret in SECRETS if secret in seen]


def test_the_secrets_reach_the_agent() -> None:
    with (
        RecordedAgent("2.0.5/healthy/s1-follower") as agent,
        running(
            "--nomad.address",
            agent.url.replace("://", f"://poller:{PASSWORD}@"),
            env={"NOMAD_TOKEN": TOKEN},
        ) as exporter,
    ):
        exporter.wait_for_line("agent answers")
        _, headers = agent.asked[0]

    assert headers["x-nomad-token"] == TOKEN
    assert headers["authorization"].startswith("Basic cG9sbGVyOnBhc3N3MHJkLW9mLXRoZS1wcm94e")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--config.check",), id="settings that are good"),
        pytest.param(("--config.check", "--poll.interval", "never"), id="settings that are not"),
        pytest.param(("--nomad.address", f"http://poller:{PASSWORD}@:1"), id="an address that is none"),
    ],
)
def test_checking_the_settings_prints_no_secret(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, env={"NOMAD_TOKEN": TOKEN, "NOMAD_HTTP_AUTH": f"poller:{PASSWORD}"})

    assert not [secret for secret in SECRETS if secret in ended.stdout + ended.stderr]


def test_a_token_that_no_header_can_carry_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nsecond line")
    with running("--nomad.token-file", str(tmp_path / "token"), "--log.level", "debug") as exporter:
        line = exporter.wait_for_line("credentials")
        seen = shown(exporter)

    assert str(tmp_path / "token") in line
    assert TOKEN not in seen
