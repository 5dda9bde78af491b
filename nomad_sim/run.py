"""The demo: starts the cluster and the programs beside it, and stops them at a signal."""

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
from nomad_sim.sockets import Address, ListenError, raise_file_limit

Print = Callable[[str], None]

CLUSTER_AGE_SECONDS = 60.0
"""The simulated age of the cluster at the start, so that the first election is over."""

INCIDENT_DELAY = 5.0
"""Seconds between the start of the demo and the incident, to show the healthy cluster first."""

_POLICIES = {"management": MANAGEMENT, "monitoring": MONITORING}


def run(options: Options, print_line: Print) -> int:
    """Run the demo until SIGTERM, SIGINT or SIGHUP, or until a program exits; return the exit code.

    All files are in a temporary folder, which is removed at the end. Raises PortInUse, and ListenError for any other
    reason why the demo cannot listen on the host.
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


async def _run_demo(requested: Options, folder: Path, print_line: Print) -> None:
    options = layout.resolve_ports(requested)
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
        config_file = str(processes.exporter_config_file(folder)) if options.exporter else ""
        print_line(
            render_banner(
                options,
                setups,
                tokens,
                files,
                {**urls, "demo": _url(options, options.control_port)},
                config_file,
                _program_name(),
            )
        )
        if options.incident:
            runner.start(INCIDENTS[options.incident], INCIDENT_DELAY)
        await _run_until_exit(runner.server, list(running.values()))


def _reload_exporter(exporter: Process, options: Options, credentials: Credentials, folder: Path) -> OnChange:
    """Return a callback that updates the monitored agents in the exporter's configuration."""

    def on_change(setups: Sequence[Setup]) -> None:
        processes.write_exporter_config(options, setups, credentials, folder)
        exporter.reload()

    return on_change


def _program_name() -> str:
    """Return ``nomad-exporter``, or its path as the user entered it if it is not on the PATH."""
    entered = sys.argv[0]
    is_path = Path(entered).name == "nomad-exporter" and not shutil.which("nomad-exporter")
    return entered if is_path else "nomad-exporter"


async def _run_until_exit(server: ClusterServer, running: Sequence[Process]) -> None:
    """Run the listeners until a program exits. Raises ProcessExited."""
    # Python 3.11.2 wraps an exception that is raised inside `except*` in a group, so it is raised after the block.
    caught: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run())
            for process in running:
                group.create_task(process.wait_for_exit())
    except* ProcessExited as exits:
        caught += exits.exceptions
    raise caught[0]


async def _start_cluster(
    options: Options, setups: Sequence[Setup], tokens: Mapping[str, str], print_line: Print, stack: AsyncExitStack
) -> IncidentRunner:
    """Start the listeners of the agents and of the control page; return the runner of incidents."""
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
    regions = layout.region_names(options.regions)
    try:
        return certificates.make_certificates(folder, [options.host], regions, datetime.now(UTC))
    except UnicodeError:
        raise ListenError(f"cannot issue a certificate for {options.host}: not a host name") from None


def _tokens(options: Options) -> dict[str, str]:
    """Return a token for each policy by the policy's name, the same for the same seed."""
    if not options.acl:
        return {}
    rng = random.Random(f"tokens {options.seed}")  # noqa: S311  # tokens of a demo are not secret
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
