"""The demo, from its start to its end: the cluster, and what runs beside it."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nomad_sim import certificates, layout, processes, signals
from nomad_sim.api.acl import MANAGEMENT, MONITORING, Acl
from nomad_sim.api.routes import NomadApi
from nomad_sim.banner import render_banner
from nomad_sim.certificates import CertificateFiles
from nomad_sim.control import control_page
from nomad_sim.go import join_host_port
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.runner import IncidentRunner
from nomad_sim.listener import Listener
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.rng import random_uuid
from nomad_sim.model.timing import Timing
from nomad_sim.options import Options
from nomad_sim.processes import Credentials, Process, ProcessExited, Program
from nomad_sim.runtime import ClusterServer, OnChange
from nomad_sim.setup import Setup
from nomad_sim.sockets import Address, raise_file_limit

Print = Callable[[str], None]

CLUSTER_AGE_SECONDS = 60.0
"""How old the cluster is at the start, so that nobody has to wait for its first election."""

INCIDENT_DELAY = 5.0
"""Seconds until an incident begins, so that one sees what is well before it."""

_POLICIES = {"management": MANAGEMENT, "monitoring": MONITORING}


def run(options: Options, print_line: Print) -> int:
    """Plays until SIGTERM, SIGINT or SIGHUP; gives the exit code, that of a program beside it where one ended first.

    Raises ListenError where a port is taken. Nothing is written outside a temporary folder, which goes with the end.
    """
    _set_up_logging()
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="nomad-exporter-demo-") as folder:
        try:
            signals.run(_run_demo(options, Path(folder), print_line))
        except ProcessExited as error:
            print_line(str(error))
            return max(error.code, 1)
    return 0


def _set_up_logging() -> None:
    """Write the errors of this package to standard error, and no messages of libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("nomad_sim")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.ERROR)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)


async def _run_demo(chosen: Options, folder: Path, print_line: Print) -> None:
    options = layout.resolve_ports(chosen)
    files = _certificates(options, folder)
    setups = layout.setups(options, files)
    tokens = _tokens(options)
    credentials = _credentials(options, tokens, files, folder)
    async with AsyncExitStack() as stack:
        runner = await _start_cluster(options, setups, tokens, print_line, stack)
        programs = _programs(options, setups, credentials, folder)
        running = {program.name: await _start_program(program, stack) for program in programs}
        if options.exporter:
            runner.server.on_change = _reload_exporter(running[processes.EXPORTER], options, credentials, folder)
        urls = {program.name: program.url for program in programs}
        file = str(processes.exporter_config_file(folder)) if options.exporter else ""
        print_line(
            render_banner(
                options,
                setups,
                tokens,
                files,
                {**urls, "demo": _url(options, options.control_port)},
                file,
                _program_name(),
            )
        )
        if options.incident:
            runner.start(INCIDENTS[options.incident], INCIDENT_DELAY)
        await _run_until_exit(runner.server, list(running.values()))


def _reload_exporter(exporter: Process, options: Options, credentials: Credentials, folder: Path) -> OnChange:
    """The exporter learns which agents it is to watch."""

    def on_change(setups: Sequence[Setup]) -> None:
        processes.write_exporter_config(options, setups, credentials, folder)
        exporter.reload()

    return on_change


def _program_name() -> str:
    """How the user called the command; one that is on the PATH by its name alone."""
    called = sys.argv[0]
    return called if Path(called).name == "nomad-exporter" and not shutil.which("nomad-exporter") else "nomad-exporter"


async def _run_until_exit(server: ClusterServer, running: Sequence[Process]) -> None:
    """Raises ProcessExited, by itself: what is raised where a group is caught, Python 3.11.2 makes a group again."""
    found: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run())
            for process in running:
                group.create_task(process.wait_for_exit())
    except* ProcessExited as exits:
        found += exits.exceptions
    raise found[0]


async def _start_cluster(
    options: Options, setups: Sequence[Setup], tokens: Mapping[str, str], print_line: Print, stack: AsyncExitStack
) -> IncidentRunner:
    """The cluster and the demo's own page, served."""
    clock_offset = time.time() - time.monotonic()
    cluster = Cluster(setups, Timing().at_pace(options.pace), options.seed, time.time() - CLUSTER_AGE_SECONDS)
    api = NomadApi(cluster, Acl({token: _POLICIES[name] for name, token in tokens.items()}))
    server = ClusterServer(api, lambda: clock_offset + time.monotonic(), tokens)
    stack.push_async_callback(server.stop)
    await server.tick()
    runner = IncidentRunner(server, api, options.pace, print_line)
    stack.push_async_callback(runner.stop)
    exporter = _url(options, options.exporter_port) if options.exporter else ""
    listener = Listener(control_page(runner, exporter), Address(options.host, options.control_port))
    stack.push_async_callback(listener.stop)
    await listener.start()
    return runner


def _url(options: Options, port: int) -> str:
    return f"http://{join_host_port(options.host, port)}"


async def _start_program(program: Program, stack: AsyncExitStack) -> Process:
    layout.check_port_free(program.host, program.port)
    process = await processes.start_process(program)
    stack.push_async_callback(process.stop)
    await process.wait_until_ready()
    return process


def _programs(options: Options, setups: Sequence[Setup], credentials: Credentials, folder: Path) -> list[Program]:
    exporter = [processes.exporter_program(options, setups, credentials, folder)] if options.exporter else []
    return [*exporter, *([processes.prometheus_program(options, folder)] if options.prometheus else [])]


def _certificates(options: Options, folder: Path) -> CertificateFiles | None:
    if not options.tls:
        return None
    return certificates.make_certificates(
        folder, [options.host], layout.region_names(options.regions), datetime.now(UTC)
    )


def _tokens(options: Options) -> dict[str, str]:
    """A secret for each policy, the same for the same seed."""
    if not options.acl:
        return {}
    rng = random.Random(f"tokens {options.seed}")  # noqa: S311  # of a demo: everybody may know them
    return {name: random_uuid(rng) for name in _POLICIES}


def _credentials(
    options: Options, tokens: Mapping[str, str], files: CertificateFiles | None, folder: Path
) -> Credentials:
    token_file = folder / "token"
    if tokens:
        token_file.write_text(tokens["monitoring"])
    credentials = Credentials(token_file=str(token_file) if tokens else "")
    if files is None:
        return credentials
    region = layout.region_names(options.regions)[0]
    return replace(
        credentials,
        ca_file=files.ca_file,
        cert_file=files.cert_file("cli", region),
        key_file=files.key_file("cli", region),
    )
