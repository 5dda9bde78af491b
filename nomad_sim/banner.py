"""What the demo tells the user when all is there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import exporter_name
from nomad_sim.options import Options
from nomad_sim.setup import Setup
from nomad_sim.text import pluralize


def render_banner(
    options: Options,
    setups: Sequence[Setup],
    tokens: Mapping[str, str],
    files: CertificateFiles | None,
    urls: Mapping[str, str],
    file: str = "",
    program: str = "nomad-exporter",
) -> str:
    """Some lines: what there is, what to open, what to try.

    ``urls`` are those of the programs beside the cluster, ``file`` is the configuration of the exporter; ``program`` is
    how the command can be called here.
    """
    exporter, prometheus = urls.get("nomad-exporter"), urls.get("prometheus")
    rows = [
        *(_exporter_rows(exporter, exporter_name(setups[0], options.regions > 1)) if exporter else ()),
        *([("Prometheus", f"{prometheus}/graph?g0.expr=nomad_agent_raft_state&g0.tab=1")] if prometheus else ()),
        ("an agent", curl_command(options, setups[0], tokens, files)),
        ("kill it", f"curl -X POST {urls['demo']}/{setups[0].full_name}/kill"),
        ("all agents", f"curl {urls['demo']}/"),
        ("incidents", f"curl {urls['demo']}/incidents"),
        *([("a check", f"{program} check --config.file {shlex.quote(file)} quorum")] if file else ()),
        *((f"{name} token", token) for name, token in tokens.items()),
    ]
    width = max(len(name) for name, _ in rows)
    lines = "".join(f"  {name:{width}}  {value}\n" for name, value in rows)
    return f"{_summary(options)}\n\n{lines}\nCtrl-C ends it, and nothing is left behind."


def curl_command(options: Options, setup: Setup, tokens: Mapping[str, str], files: CertificateFiles | None) -> str:
    """How to ask an agent about itself."""
    arguments = [f"-H 'X-Nomad-Token: {tokens['monitoring']}'"] if tokens else []
    if files:
        arguments += [f"--cacert {files.ca_file}"]
    if files and options.verify_https_client:
        arguments += [f"--cert {files.cert_file('cli', setup.region)}", f"--key {files.key_file('cli', setup.region)}"]
    return " ".join(["curl", *arguments, f"'{setup.url}/v1/agent/self?pretty'"])


def _summary(options: Options) -> str:
    regions = f" in each of {options.regions} regions" if options.regions > 1 else ""
    size = f"{pluralize(options.servers, 'server')} and {pluralize(options.clients, 'client')}"
    return f"A simulated cluster of Nomad {options.version.build}: {size}{regions}."


def _exporter_rows(url: str, agent: str) -> tuple[tuple[str, str], ...]:
    return ("status page", f"{url}/"), ("metrics", f"{url}/metrics"), ("health", f"{url}/health?agent={agent}")
