"""A long run in small: one exporter and many agents that come, go, die, freeze and thaw, with reload after reload.

The agents are a simulated cluster's, in a process of its own. ``python -m tools.soak --minutes 10 --agents 500`` prints
a line every 15 seconds, and at its end whether the exporter's memory, threads and descriptors stayed flat. The exit
code is 1 where an agent was lost, a series doubled or an error logged.
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
from tools.churn import Churn, Mood

STEP_SECONDS = 3.0
"""Between two reloads."""

TOLD_SECONDS = 15.0
"""Between two lines of the report."""

STALE_SECONDS = 15.0
"""An agent that is well, and whose health is older, is lost: it is asked every two seconds."""

FLAT = {"rss_mb": (1.05, 5.0), "threads": (1.05, 3.0), "files": (1.05, 30.0)}
"""How much greater the median of the last quarter may be than that of the second: by a factor and by an amount."""

REGIONS, SERVERS = 5, 5
"""Of the cluster: how many regions, and servers in each; all others are clients."""

CADENCE = ("--poll.interval", "5s", "--poll.health-interval", "2s")


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the system tells of a process; ``cpu`` is in seconds since its start."""

    rss_mb: float
    threads: int
    files: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What one scrape and one look at the processes gave."""

    at: float
    exporter: Vitals
    demo: Vitals
    well: int
    shown: int
    absent: set[str]
    strange: set[str]
    doubled: int
    not_up: set[str]
    stale: set[str]
    wrongly_up: set[str]
    missed: int
    lateness: float
    seconds: float

    @property
    def lost(self) -> set[str]:
        """Agents that are not shown, or are well and not asked as they should be."""
        return self.absent | self.not_up | self.stale


def vitals(pid: int) -> Vitals:
    """Of a process that runs."""
    of = Path(f"/proc/{pid}")
    status, times = (of / "status").read_text(), (of / "stat").read_text().rpartition(")")[2].split()
    return Vitals(
        rss_mb=_number(r"VmRSS:\s+(\d+)", status) / 1024,
        threads=int(_number(r"Threads:\s+(\d+)", status)),
        files=sum(1 for _ in (of / "fd").iterdir()),
        cpu=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
    )


def look(exporter: Exporter, churn: Churn) -> Seen:
    """One scrape, compared to what the fleet is."""
    well, sick = churn.steady(Mood.WELL), churn.steady(Mood.DEAD, Mood.FROZEN)
    began = time.monotonic()
    page = exporter.get("/metrics").text
    seconds, now = time.monotonic() - began, time.time()
    series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    shown = set(_by_agent(page, "nomad_exporter_agent_info", ""))
    up = {agent for agent, value in _by_agent(page, "nomad_agent_up", "").items() if value == 1}
    asked = _by_agent(page, "nomad_exporter_poll_last_success_timestamp_seconds", ',source="health"')
    lateness = _by_agent(page, "nomad_exporter_poll_lateness_seconds", ',source="health"')
    late = sorted(lateness[agent] for agent in well & lateness.keys())
    return Seen(
        at=began,
        exporter=vitals(exporter.process.pid),
        demo=vitals(churn.demo.process.pid),
        well=len(well),
        shown=len(shown),
        absent=churn.names - shown,
        strange=shown - churn.names,
        doubled=len(series) - len(set(series)),
        not_up=well - up,
        stale={agent for agent in well if now - asked.get(agent, 0.0) > STALE_SECONDS},
        wrongly_up=sick & up,
        missed=int(_number(r"(?m)^nomad_exporter_polls_skipped_total (\S+)", page)),
        lateness=late[int(len(late) * 0.99)] if late else 0.0,
        seconds=seconds,
    )


def _by_agent(page: str, family: str, more: str) -> dict[str, float]:
    """The values of a family by agent; ``more`` are the labels behind the agent's, all where it is empty."""
    pattern = rf'^{family}\{{agent="([^"]+)"[^}}]*{more}\}} (\S+)$'
    return {agent: float(value) for agent, value in re.findall(pattern, page, re.MULTILINE)}


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else float("nan")


def soak(exporter: Exporter, churn: Churn, seconds: float) -> Iterator[Seen]:
    """What was seen after each reload, until the time is over."""
    eventually(lambda: exporter.get("/-/healthy").ok)  # It follows SIGHUP once it serves.
    end, reloads = time.monotonic() + seconds, 0
    while (began := time.monotonic()) < end:
        churn.step()
        churn.write()
        reloads += 1
        exporter.process.send_signal(signal.SIGHUP)
        eventually(_is_reloaded(exporter, reloads))
        yield look(exporter, churn)
        time.sleep(max(0.0, began + STEP_SECONDS - time.monotonic()))


def _is_reloaded(exporter: Exporter, times: int) -> Callable[[], bool]:
    return lambda: sum("msg=reloaded" in line for line in exporter.log) >= times


def tell(at: float, period: Sequence[Seen], churn: Churn) -> None:
    """One line of the report: how it is now, and the worst of the time since the line before."""
    now = period[-1]
    print(
        f"{at:6.0f}s {_vitals(period, 'exporter')}; {_vitals(period, 'demo')}; "
        f"load of the machine {os.getloadavg()[0]:.1f}; agents {now.shown} of {len(churn.names)} "
        f"({churn.count(Mood.DEAD)} dead, {churn.count(Mood.FROZEN)} frozen, {now.well} long well): "
        f"absent {_most(period, 'absent')}, strange {_most(period, 'strange')}, "
        f"doubled {max(seen.doubled for seen in period)}, not up {_most(period, 'not_up')}, "
        f"stale {_most(period, 'stale')}, wrongly up {_most(period, 'wrongly_up')}; missed polls {now.missed}, "
        f"lateness p99 {max(seen.lateness for seen in period):.2f}s, "
        f"slowest scrape {max(seen.seconds for seen in period):.2f}s",
        flush=True,
    )


def _vitals(period: Sequence[Seen], process: str) -> str:
    first, now = getattr(period[0], process), getattr(period[-1], process)
    cpu = (now.cpu - first.cpu) / max(1e-9, period[-1].at - period[0].at)
    return f"{process} rss {now.rss_mb:.1f} MB, threads {now.threads}, fds {now.files}, cpu {cpu:.0%}"


def _most(period: Sequence[Seen], what: str) -> int:
    return max(len(getattr(seen, what)) for seen in period)


def watch(exporter: Exporter, churn: Churn, seconds: float) -> list[Seen]:
    """All that was seen, told line by line."""
    began = told = time.monotonic()
    every: list[Seen] = []
    period: list[Seen] = []
    for seen in soak(exporter, churn, seconds):
        every.append(seen)
        period.append(seen)
        if time.monotonic() - told >= TOLD_SECONDS:
            told = time.monotonic()
            tell(told - began, period, churn)
            period = []
    return every


def flatness(every: Sequence[Seen]) -> Iterator[str]:
    """For memory, threads and descriptors: the medians of the second and the last quarter, and whether that is flat."""
    quarter = len(every) // 4
    for what, (factor, amount) in FLAT.items():
        values = [getattr(seen.exporter, what) for seen in every]
        second, last = median(values[quarter : 2 * quarter] or values), median(values[-quarter:] or values)
        verdict = "flat" if last <= second * factor + amount else "NOT FLAT"
        yield f"{what}: {second:.1f} in the second quarter, {last:.1f} in the last: {verdict}"


def faults(every: Sequence[Seen], log: Sequence[str]) -> Iterator[str]:
    """What must not be, or shows that the run was too short to tell."""
    if not any(seen.well for seen in every):
        yield "nobody was well for long enough to be judged: run longer"
    lost = set[str]().union(*(seen.lost for seen in every))
    if lost:
        yield f"{len(lost)} agents were lost for a while: {', '.join(sorted(lost)[:10])}"
    if wrong := set[str]().union(*(seen.strange | seen.wrongly_up for seen in every)):
        yield f"{len(wrong)} agents were shown, or up, that are not: {', '.join(sorted(wrong)[:10])}"
    if doubled := sum(seen.doubled for seen in every):
        yield f"{doubled} series were doubled"
    if bad := [line for line in log if "Traceback" in line or "level=error" in line]:
        yield f"{len(bad)} lines of the log tell of an error, the first: {bad[0]}"


def to_have(watched: int) -> tuple[str, ...]:
    """The arguments of a demo with so many agents, and a tenth more to come in their place."""
    clients = max(1, math.ceil(watched * 1.1 / REGIONS) - SERVERS)
    return "--regions", f"{REGIONS}", "--servers", f"{SERVERS}", "--clients", f"{clients}"


def main() -> int:
    """Runs as long as the arguments say; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    size: int = arguments.agents
    with tempfile.TemporaryDirectory() as folder, running_demo("--exporter=false", *to_have(size)) as demo:
        file = Path(folder) / "fleet.yml"
        churn = Churn(demo, size, Random(arguments.seed), file)  # noqa: S311  # chance that can be repeated
        churn.write()
        with running("--config.file", str(file), *CADENCE) as exporter:
            every = watch(exporter, churn, arguments.minutes * 60)
    found = list(faults(every, exporter.log))
    print(f"{len(every)} reloads and scrapes, {len(exporter.log)} lines of the log")
    print(*flatness(every), *(found or ["no agent was lost, no series doubled, no error logged"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
