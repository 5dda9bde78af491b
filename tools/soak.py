"""Soak the exporter: many agents that join, leave, die and hang, with reload after reload.

The agents are those of a simulated cluster in a process of its own.
``python -m tools.soak --minutes 10 --agents 500`` prints a line every 15 seconds, and at the end whether the exporter's
memory, threads and descriptors stayed flat. The exit code is 1 if an agent was lost, a series was duplicated or an
error was logged.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from tests.support.demo import running_demo
from tests.support.exporter import Exporter, running
from tests.support.waiting import eventually
from tools.churn import Churn, Condition

STEP_SECONDS = 3.0
"""Seconds between two reloads."""

REPORT_SECONDS = 15.0
"""Seconds between two lines of the report."""

STALE_SECONDS = 15.0
"""Age of the health of a healthy agent from which the agent is lost: it is polled every two seconds."""

FLAT = {"rss_mb": (1.05, 5.0), "threads": (1.05, 3.0), "files": (1.05, 30.0)}
"""Permitted growth from the second quarter's median to the last one's: a factor and an amount."""

REGIONS, SERVERS = 5, 5
"""Regions of the cluster, and servers in each; all other agents are clients."""

INTERVALS = ("--poll.interval", "5s", "--poll.health-interval", "2s")


@dataclass(frozen=True, slots=True)
class Vitals:
    """The resources of a process; ``cpu`` is in seconds since its start."""

    rss_mb: float
    threads: int
    files: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One scrape and the vitals of both processes, compared with the fleet."""

    at: float
    exporter: Vitals
    demo: Vitals
    healthy: int
    shown: int
    absent: set[str]
    unexpected: set[str]
    duplicates: int
    not_up: set[str]
    stale: set[str]
    wrongly_up: set[str]
    skipped: int
    lateness: float
    seconds: float

    @property
    def lost(self) -> set[str]:
        """Agents that are absent, or healthy and not polled as they should be."""
        return self.absent | self.not_up | self.stale


def vitals(pid: int) -> Vitals:
    """Return the vitals of a running process."""
    process = Path(f"/proc/{pid}")
    status, times = (process / "status").read_text(), (process / "stat").read_text().rpartition(")")[2].split()
    return Vitals(
        rss_mb=_number(r"VmRSS:\s+(\d+)", status) / 1024,
        threads=int(_number(r"Threads:\s+(\d+)", status)),
        files=sum(1 for _ in (process / "fd").iterdir()),
        cpu=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
    )


def observe(exporter: Exporter, churn: Churn) -> Observation:
    """Scrape once and compare the page with the fleet."""
    healthy, faulty = churn.settled(Condition.HEALTHY), churn.settled(Condition.DEAD, Condition.PAUSED)
    began = time.monotonic()
    page = exporter.get("/metrics").text
    seconds, now = time.monotonic() - began, time.time()
    series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    shown = set(_by_agent(page, "nomad_exporter_agent_info", ""))
    up = {agent for agent, value in _by_agent(page, "nomad_agent_up", "").items() if value == 1}
    polled = _by_agent(page, "nomad_exporter_poll_last_success_timestamp_seconds", ',source="health"')
    lateness = _by_agent(page, "nomad_exporter_poll_lateness_seconds", ',source="health"')
    late = sorted(lateness[agent] for agent in healthy & lateness.keys())
    return Observation(
        at=began,
        exporter=vitals(exporter.process.pid),
        demo=vitals(churn.demo.process.pid),
        healthy=len(healthy),
        shown=len(shown),
        absent=churn.names - shown,
        unexpected=shown - churn.names,
        duplicates=len(series) - len(set(series)),
        not_up=healthy - up,
        stale={agent for agent in healthy if now - polled.get(agent, 0.0) > STALE_SECONDS},
        wrongly_up=faulty & up,
        skipped=int(_number(r"(?m)^nomad_exporter_polls_skipped_total (\S+)", page)),
        lateness=late[int(len(late) * 0.99)] if late else 0.0,
        seconds=seconds,
    )


def _by_agent(page: str, family: str, more: str) -> dict[str, float]:
    """Return the values of a family by agent; ``more`` are the last labels."""
    pattern = rf'^{family}\{{agent="([^"]+)"[^}}]*{more}\}} (\S+)$'
    return {agent: float(value) for agent, value in re.findall(pattern, page, re.MULTILINE)}


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else float("nan")


def soak(exporter: Exporter, churn: Churn, seconds: float) -> Iterator[Observation]:
    """Yield an observation after each reload, until the time is over."""
    eventually(lambda: exporter.get("/-/healthy").ok)  # SIGHUP is handled from then on.
    end, reloads = time.monotonic() + seconds, 0
    while (began := time.monotonic()) < end:
        churn.step()
        churn.write()
        reloads += 1
        exporter.process.send_signal(signal.SIGHUP)
        eventually(_has_reloaded(exporter, reloads))
        yield observe(exporter, churn)
        time.sleep(max(0.0, began + STEP_SECONDS - time.monotonic()))


def _has_reloaded(exporter: Exporter, times: int) -> Callable[[], bool]:
    return lambda: sum("msg=reloaded" in line for line in exporter.log) >= times


def report(at: float, period: Sequence[Observation], churn: Churn) -> None:
    """Print one line: the newest observation, and the worst since the line before."""
    now = period[-1]
    print(
        f"{at:6.0f}s {_vitals(period, 'exporter')}; {_vitals(period, 'demo')}; "
        f"load {os.getloadavg()[0]:.1f}; agents {now.shown} of {len(churn.names)} "
        f"({churn.count(Condition.DEAD)} dead, {churn.count(Condition.PAUSED)} paused, {now.healthy} healthy): "
        f"absent {_most(period, 'absent')}, unexpected {_most(period, 'unexpected')}, "
        f"duplicates {max(seen.duplicates for seen in period)}, not up {_most(period, 'not_up')}, "
        f"stale {_most(period, 'stale')}, wrongly up {_most(period, 'wrongly_up')}; skipped polls {now.skipped}, "
        f"lateness p99 {max(seen.lateness for seen in period):.2f}s, "
        f"slowest scrape {max(seen.seconds for seen in period):.2f}s",
        flush=True,
    )


def _vitals(period: Sequence[Observation], process: str) -> str:
    first, now = getattr(period[0], process), getattr(period[-1], process)
    cpu = (now.cpu - first.cpu) / max(1e-9, period[-1].at - period[0].at)
    return f"{process} rss {now.rss_mb:.1f} MB, threads {now.threads}, fds {now.files}, cpu {cpu:.0%}"


def _most(period: Sequence[Observation], field: str) -> int:
    return max(len(getattr(seen, field)) for seen in period)


def run(exporter: Exporter, churn: Churn, seconds: float) -> list[Observation]:
    """Soak and report; return all observations."""
    began = reported = time.monotonic()
    observations: list[Observation] = []
    period: list[Observation] = []
    for seen in soak(exporter, churn, seconds):
        observations.append(seen)
        period.append(seen)
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            report(reported - began, period, churn)
            period = []
    return observations


def flatness(observations: Sequence[Observation]) -> Iterator[str]:
    """Yield a line for memory, threads and descriptors: the medians of two quarters, and whether they are flat."""
    quarter = len(observations) // 4
    for name, (factor, amount) in FLAT.items():
        values = [getattr(seen.exporter, name) for seen in observations]
        second, last = median(values[quarter : 2 * quarter] or values), median(values[-quarter:] or values)
        result = "flat" if last <= second * factor + amount else "NOT FLAT"
        yield f"{name}: {second:.1f} in the second quarter, {last:.1f} in the last: {result}"


def violations(observations: Sequence[Observation], log: Sequence[str]) -> Iterator[str]:
    """Yield a line for each broken promise, and one if the run was too short."""
    if not any(seen.healthy for seen in observations):
        yield "no agent was healthy for long enough to be checked: run longer"
    if lost := set[str]().union(*(seen.lost for seen in observations)):
        yield f"{len(lost)} agents were lost for a while: {', '.join(sorted(lost)[:10])}"
    if wrong := set[str]().union(*(seen.unexpected | seen.wrongly_up for seen in observations)):
        yield f"{len(wrong)} agents were wrongly shown, or wrongly up: {', '.join(sorted(wrong)[:10])}"
    if duplicates := sum(seen.duplicates for seen in observations):
        yield f"{duplicates} series were duplicated"
    if errors := [line for line in log if "Traceback" in line or "level=error" in line]:
        yield f"{len(errors)} errors in the log, the first: {errors[0]}"


def demo_arguments(monitored: int) -> tuple[str, ...]:
    """Return the arguments of a demo with a tenth more agents than are monitored, for exchange."""
    clients = max(1, math.ceil(monitored * 1.1 / REGIONS) - SERVERS)
    return "--regions", f"{REGIONS}", "--servers", f"{SERVERS}", "--clients", f"{clients}"


def main() -> int:
    """Run for the time in the arguments; return the exit code, 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    size: int = arguments.agents
    with tempfile.TemporaryDirectory() as folder, running_demo("--exporter=false", *demo_arguments(size)) as demo:
        file = Path(folder) / "fleet.yml"
        churn = Churn(demo, size, Random(arguments.seed), file)  # noqa: S311  # reproducible, not secret
        churn.write()
        with running("--config.file", str(file), *INTERVALS) as exporter:
            observations = run(exporter, churn, arguments.minutes * 60)
    broken = list(violations(observations, exporter.log))
    print(f"{len(observations)} reloads and scrapes, {len(exporter.log)} log lines")
    print(*flatness(observations), *(broken or ["no agent was lost, no series duplicated, no error logged"]), sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
