"""The banner: what the demo prints when it is ready."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from nomad_sim.certificates import CertificateFiles
from nomad_sim.layout import exporter_name
from nomad_sim.options import Options
from nomad_sim.setup import Setup


def render_banner(
    options: Options,
    setups: Sequence[Setup],
    tokens: Mapping[str, str],
    files: CertificateFiles | None,
    urls: Mapping[str, str],
    config_file: str = "",
    program: str = "nomad-exporter",
) -> str:
    """Render the size of the cluster, the pages to open and the commands to try.

    ``urls`` are the URLs of the exporter, Prometheus and the control page by program name. ``config_file`` is the
    exporter's configuration, and ``program`` the command that runs nomad-exporter here.
    """
    exporter, prometheus = urls.get("nomad-exporter"), urls.get("prometheus")
    rows = [
        *(_exporter_rows(exporter, exporter_name(setups[0], options.regions > 1)) if exporter else ()),
        *([("Prometheus", f"{prometheus}/graph?g0.expr=nomad_agent_raft_state&g0.tab=1")] if prometheus else ()),
        ("control page", f"{urls['demo']}/"),
        ("query an agent", curl_command(options, setups[0], tokens, files)),
        ("kill an agent", f"curl -X POST {urls['demo']}/{setups[0].full_name}/kill"),
        ("list incidents", f"curl {urls['demo']}/incidents"),
        *(
            [("check quorum", f"{program} check --config.file {shlex.quote(config_file)} quorum")]
            if config_file
            else ()
        ),
        *((f"{name} token", token) for name, token in tokens.items()),
    ]
    width = max(len(name) for name, _ in rows)
    lines = "".join(f"  {name:{width}}  {value}\n" for name, value in rows)
    return f"{_summary(options)}\n\n{lines}\nCtrl-C stops the demo and removes its files."


def curl_command(options: Options, setup: Setup, tokens: Mapping[str, str], files: CertificateFiles | None) -> str:
    """Return a command that requests /v1/agent/self of an agent, with the credentials that the agent requires."""
    arguments = [f"-H 'X-Nomad-Token: {tokens['monitoring']}'"] if tokens else []
    if files:
        arguments += [f"--cacert {files.ca_file}"]
    if files and options.verify_https_client:
        arguments += [f"--cert {files.cert_file('cli', setup.region)}", f"--key {files.key_file('cli', setup.region)}"]
    return " ".join(["curl", *arguments, f"'{setup.url}/v1/agent/self?pretty'"])


def _summary(options: Options) -> str:
    regions = f" in each of {options.regions} regions" if options.regions > 1 else ""
    size = f"{_count(options.servers, 'server')} and {_count(options.clients, 'client')}"
    return f"Simulated cluster of Nomad {options.version.build}: {size}{regions}."


def _count(number: int, noun: str) -> str:
    """Return ``1 server``, ``2 servers``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _exporter_rows(url: str, agent: str) -> tuple[tuple[str, str], ...]:
    return ("status page", f"{url}/"), ("metrics", f"{url}/metrics"), ("health", f"{url}/health?agent={agent}")
