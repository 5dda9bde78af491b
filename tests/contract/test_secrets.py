"""Secrets reach only the agent that they belong to: they are in no page, no header and no log line."""

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
    """Return a recorded answer to ``self`` with a secret wherever a real agent may have one."""
    answer = json.loads(situation("2.0.5/healthy/s1-follower").answers["/v1/agent/self"].body)
    answer["config"]["Server"]["LicenseEnv"] = LICENCE
    answer["config"]["Client"]["IntroToken"] = TOKEN
    answer["config"]["Consuls"][0]["Token"] = "root-token-of-consul"
    answer["config"]["Consuls"][0]["Auth"] = f"poller:{PASSWORD}"
    answer["config"]["Vaults"][0]["Token"] = "vault-tok3n"
    answer["config"]["HTTPAPIResponseHeaders"] = {"X-Token": TOKEN}
    answer["stats"]["nomad"]["replication_token"] = TOKEN
    answer["stats"]["licence"] = {"text": LICENCE}
    return json.dumps(answer).encode()


def responding(status: str, body: bytes, headers: str = "") -> Script:
    def script(connection: socket.socket, _: threading.Event) -> None:
        while connection.recv(65536):
            head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    return script


def echo(connection: socket.socket, _: threading.Event) -> None:
    """Respond with the request, its headers with their secrets included, as status line and body."""
    request = connection.recv(65536)
    connection.sendall(b"HTTP/1.1 500 " + request.replace(b"\r\n", b" ") + b"\r\nX-Echo: " + TOKEN.encode())
    connection.sendall(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(request), request))


AGENTS: dict[str, Script] = {
    "has secrets in its answer": responding("200 OK", self_full_of_secrets()),
    "echoes the request": echo,
    "rejects the token and names it": responding("403 Forbidden", f"ACL token not found: {TOKEN}".encode()),
    "fails and names the token": responding("500 Oops", f"acl token lookup failed: {TOKEN}".encode()),
    "redirects with the token": responding("302 Found", b"", f"Location: http://127.0.0.1:1/?token={TOKEN}\r\n"),
    "sends the token in invalid JSON": responding("200 OK", b'{"stats": {"nomad": "' + TOKEN.encode() + b'"'),
    "sends the token instead of a number": responding(
        "200 OK", json.dumps({"stats": {"nomad": {}, "raft": {"term": TOKEN}}, "member": TOKEN}).encode()
    ),
    "sets cookies": responding("200 OK", b"{}", f"Set-Cookie: token={TOKEN}\r\n"),
    "does not speak HTTP": lambda connection, _: connection.sendall(f"TOKEN {TOKEN}\r\n".encode()),
}


@pytest.fixture(params=list(AGENTS.values()), ids=list(AGENTS))
def exporter(request: pytest.FixtureRequest) -> Iterator[Exporter]:
    """Yield an exporter with a token and a password that has polled every source of the agent at least twice."""
    environment = {"NOMAD_TOKEN": TOKEN, "NOMAD_HTTP_AUTH": f"poller:{PASSWORD}"}
    intervals = ("--poll.interval", "100ms", "--poll.health-interval", "100ms", "--log.level", "debug")
    with (
        scripted(request.param) as address,
        running("--nomad.address", str(address), "--nomad.agent-name", "s1", *intervals, env=environment) as started,
    ):
        eventually(lambda: polls(started) >= 2)
        yield started


def polls(exporter: Exporter) -> float:
    lines = exporter.get("/metrics").text.splitlines()
    return min(
        float(line.split()[-1]) for line in lines if line.startswith("nomad_exporter_polls") and '"self"' in line
    )


def visible_text(exporter: Exporter) -> str:
    """Return everything that the exporter shows: every page with its headers, and the log."""
    responses = (
        [exporter.get(path) for path in PATHS]
        + [exporter.get("/", headers={"Accept": "text/html"})]
        + [requests.post(exporter.url + "/metrics", timeout=5)]
    )
    pages = [f"{response.headers} {response.text}" for response in responses]
    return "\n".join([*pages, *exporter.log])


def test_no_secret_is_visible(exporter: Exporter) -> None:
    visible = visible_text(exporter)

    assert not [secret for secret in SECRETS if secret in visible]


def test_secrets_reach_the_agent() -> None:
    with (
        RecordedAgent("2.0.5/healthy/s1-follower") as agent,
        running(
            "--nomad.address",
            agent.url.replace("://", f"://poller:{PASSWORD}@"),
            env={"NOMAD_TOKEN": TOKEN},
        ) as exporter,
    ):
        exporter.wait_for_line("agent is up")
        _, headers = agent.requests[0]

    assert headers["x-nomad-token"] == TOKEN
    assert headers["authorization"].startswith("Basic cG9sbGVyOnBhc3N3MHJkLW9mLXRoZS1wcm94e")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--config.check",), id="valid settings"),
        pytest.param(("--config.check", "--poll.interval", "never"), id="invalid settings"),
        pytest.param(("--nomad.address", f"http://poller:{PASSWORD}@:1"), id="invalid address"),
    ],
)
def test_config_check_prints_no_secret(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, env={"NOMAD_TOKEN": TOKEN, "NOMAD_HTTP_AUTH": f"poller:{PASSWORD}"})

    assert not [secret for secret in SECRETS if secret in ended.stdout + ended.stderr]


def test_token_that_is_no_valid_header_is_not_visible(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nsecond line")
    with running("--nomad.token-file", str(tmp_path / "token"), "--log.level", "debug") as exporter:
        line = exporter.wait_for_line("credentials")
        visible = visible_text(exporter)

    assert str(tmp_path / "token") in line
    assert TOKEN not in visible
