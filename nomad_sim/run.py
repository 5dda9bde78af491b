"""The demo, from its start to its end: the cluster, and what runs beside it."""

from __future__ import annotations

import asyncio
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

from nomad_exporter import logs
from nomad_exporter.demo import certificates, children, layout
from nomad_exporter.demo.certificates import Files
from nomad_exporter.demo.children import Child, Credentials, Ended, Program
from nomad_exporter.demo.control import control
from nomad_exporter.demo.face.acl import MANAGEMENT, MONITORING, Acl
from nomad_exporter.demo.face.routes import Face
from nomad_exporter.demo.greeting import greeting
from nomad_exporter.demo.incidents.catalogue import INCIDENTS
from nomad_exporter.demo.incidents.player import Player
from nomad_exporter.demo.model.chance import some_id
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.setup import Setup, address
from nomad_exporter.demo.stage import Stage, Told
from nomad_exporter.serving import server
from nomad_exporter.serving.door import Door
from nomad_exporter.serving.listen import Listen, raise_file_limit

Tell = Callable[[str], None]

AGE_SECONDS = 60.0
"""How old the cluster is at the start, so that nobody has to wait for its first election."""

SETTLING = 5.0
"""Seconds until an incident begins, so that one sees what is well before it."""

_POLICIES = {"management": MANAGEMENT, "monitoring": MONITORING}


def run(options: Options, tell: Tell) -> int:
    """Plays until SIGTERM, SIGINT or SIGHUP; gives the exit code, that of a program beside it where one ended first.

    Raises CannotListen where a port is taken. Nothing is written outside a temporary folder, which goes with the end.
    """
    logs.set_up("error", "logfmt")
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="nomad-exporter-demo-") as folder:
        try:
            server.run(_play(options, Path(folder), tell))
        except Ended as error:
            tell(str(error))
            return max(error.code, 1)
    return 0


async def _play(chosen: Options, folder: Path, tell: Tell) -> None:
    options = layout.with_ports(chosen)
    files = _certificates(options, folder)
    setups = layout.setups(options, files)
    tokens = _tokens(options)
    credentials = _credentials(options, tokens, files, folder)
    async with AsyncExitStack() as ending:
        player = await _staged(options, setups, tokens, tell, ending)
        programs = _programs(options, setups, credentials, folder)
        running = {program.name: await _begun(program, ending) for program in programs}
        if options.exporter:
            player.stage.told = _told(running[children.EXPORTER], options, credentials, folder)
        urls = {program.name: program.url for program in programs}
        file = str(children.configuration(folder)) if options.exporter else ""
        tell(
            greeting(
                options, setups, tokens, files, {**urls, "demo": _url(options, options.control_port)}, file, _program()
            )
        )
        if options.incident:
            player.play(INCIDENTS[options.incident], SETTLING)
        await _until_one_ends(player.stage, list(running.values()))


def _told(exporter: Child, options: Options, credentials: Credentials, folder: Path) -> Told:
    """The exporter learns which agents it is to watch."""

    def told(setups: Sequence[Setup]) -> None:
        children.configure(options, setups, credentials, folder)
        exporter.reload()

    return told


def _program() -> str:
    """How the user called the command; one that is on the PATH by its name alone."""
    called = sys.argv[0]
    return called if Path(called).name == "nomad-exporter" and not shutil.which("nomad-exporter") else "nomad-exporter"


async def _until_one_ends(stage: Stage, running: Sequence[Child]) -> None:
    """Raises Ended, by itself: what is raised where a group is caught, Python 3.11.2 makes a group again."""
    found: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as going:
            going.create_task(stage.play())
            for child in running:
                going.create_task(child.ended())
    except* Ended as ended:
        found += ended.exceptions
    raise found[0]


async def _staged(
    options: Options, setups: Sequence[Setup], tokens: Mapping[str, str], tell: Tell, ending: AsyncExitStack
) -> Player:
    """The cluster and the demo's own page, served."""
    began = time.time() - time.monotonic()
    cluster = Cluster(setups, Timing().paced(options.pace), options.seed, time.time() - AGE_SECONDS)
    face = Face(cluster, Acl({token: _POLICIES[name] for name, token in tokens.items()}))
    stage = Stage(face, lambda: began + time.monotonic(), tokens)
    ending.push_async_callback(stage.end)
    await stage.turn()
    player = Player(stage, face, options.pace, tell)
    ending.push_async_callback(player.end)
    exporter = _url(options, options.exporter_port) if options.exporter else ""
    door = Door(control(player, exporter), Listen(options.host, options.control_port))
    ending.push_async_callback(door.shut)
    await door.open()
    return player


def _url(options: Options, port: int) -> str:
    return f"http://{address(options.host, port)}"


async def _begun(program: Program, ending: AsyncExitStack) -> Child:
    layout.check_free(program.host, program.port)
    child = await children.begin(program)
    ending.push_async_callback(child.stop)
    await child.ready()
    return child


def _programs(options: Options, setups: Sequence[Setup], credentials: Credentials, folder: Path) -> list[Program]:
    exporter = [children.exporter(options, setups, credentials, folder)] if options.exporter else []
    return [*exporter, *([children.prometheus(options, folder)] if options.prometheus else [])]


def _certificates(options: Options, folder: Path) -> Files | None:
    if not options.tls:
        return None
    return certificates.make(folder, [options.host], layout.region_names(options.regions), datetime.now(UTC))


def _tokens(options: Options) -> dict[str, str]:
    """A secret for each policy, the same for the same seed."""
    if not options.acl:
        return {}
    chance = random.Random(f"tokens {options.seed}")  # noqa: S311  # of a demo: everybody may know them
    return {name: some_id(chance) for name in _POLICIES}


def _credentials(options: Options, tokens: Mapping[str, str], files: Files | None, folder: Path) -> Credentials:
    token_file = folder / "token"
    if tokens:
        token_file.write_text(tokens["monitoring"])
    shown = Credentials(token_file=str(token_file) if tokens else "")
    if files is None:
        return shown
    region = layout.region_names(options.regions)[0]
    return replace(
        shown, ca_file=files.ca_file, cert_file=files.cert_file("cli", region), key_file=files.key_file("cli", region)
    )
