"""The configuration that an agent tells of itself: ``config`` in the answer to ``GET /v1/agent/self``.

Every version has a file in ``configs``, named by its series: ``agent`` is what every agent has, with Nomad's defaults,
``server`` and ``client`` are what these roles have besides. They are what recorded agents said. Only 0.12 was never
recorded: its file rests on Nomad's source at v0.12.12, and on what an agent built from that source said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from nomad_sim.go import join_host_port
from nomad_sim.setup import Setup, Tls


def agent_config(setup: Setup) -> dict[str, Any]:
    """The ``config`` part of the answer to ``GET /v1/agent/self``; to be read, not to be changed.

    Its keys and types are those of the version and the role. What the setup does not tell is as it was recorded, and no
    secret is among it. ``TLSConfig.Checksum`` stays empty, for Nomad makes it of the contents of the files.
    """
    return _merge(_role_defaults(setup.version.series, setup.server, setup.client), _from_setup(setup))


@cache
def _role_defaults(series: str, server: bool, client: bool) -> dict[str, Any]:
    parts = json.loads(files(__package__).joinpath("configs", f"{series}.json").read_text("utf-8"))
    config: dict[str, Any] = parts["agent"]
    for role, played in (("server", server), ("client", client)):
        config = _merge(config, parts.get(role, {}) if played else {})
    return config


def _merge(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, **{key: _merge_value(config.get(key), value) for key, value in changes.items()}}


def _merge_value(old: object, new: object) -> object:
    return _merge(old, new) if isinstance(old, dict) and isinstance(new, dict) else new


def _from_setup(setup: Setup) -> dict[str, Any]:
    """What follows from the setup, whatever the version."""
    return {
        "ACL": {"Enabled": setup.acl},
        "Addresses": {"HTTP": setup.host, "RPC": setup.host, "Serf": setup.host},
        "AdvertiseAddrs": _advertise_addrs(setup),
        "BindAddr": setup.host,
        "Client": {"Enabled": setup.client, "Servers": list(setup.servers) or None},
        "Datacenter": setup.datacenter,
        "EnableDebug": setup.enable_debug,
        "NodeName": setup.name,
        "Ports": {"HTTP": setup.http, "RPC": setup.rpc, "Serf": setup.serf},
        "Region": setup.region,
        "Server": _server(setup),
        "TLSConfig": _tls(setup.tls) if setup.tls else {},
        "Version": {"Version": setup.version.build},
    }


def _advertise_addrs(setup: Setup) -> dict[str, str]:
    """An agent that is no server leaves the address of its gossip as the operator wrote it: without a port."""
    serf = setup.serf_address if setup.server else setup.host
    return {"HTTP": join_host_port(setup.host, setup.http), "RPC": setup.rpc_address, "Serf": serf}


def _server(setup: Setup) -> dict[str, Any]:
    return {
        "BootstrapExpect": setup.bootstrap_expect,
        "Enabled": setup.server,
        "NonVotingServer": setup.nonvoter,
        "ServerJoin": {"RetryJoin": list(setup.retry_join)},
    }


def _tls(tls: Tls) -> dict[str, Any]:
    return {
        "CAFile": tls.ca_file,
        "CertFile": tls.cert_file,
        "EnableHTTP": True,
        "KeyFile": tls.key_file,
        "VerifyHTTPSClient": tls.verify_https_client,
    }
