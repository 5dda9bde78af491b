"""The configuration of an agent: ``config`` in the response to ``GET /v1/agent/self``.

Each version has a file in ``configs``, named after its series. ``agent`` contains the keys of every agent with Nomad's
defaults; ``server`` and ``client`` contain the keys that these roles add. The files were made from recorded agents.
0.12 was not recorded: its file was made from Nomad's source at v0.12.12 and from an agent built from that source.
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
    """Return the ``config`` of ``GET /v1/agent/self``; callers must not modify it.

    Keys and types are those of the version and the role. Values that the setup does not define are as recorded, without
    secrets. ``TLSConfig.Checksum`` is empty, since Nomad computes it from the contents of the files.
    """
    return _merge(_role_defaults(setup.version.series, setup.server, setup.client), _from_setup(setup))


@cache
def _role_defaults(series: str, server: bool, client: bool) -> dict[str, Any]:
    parts = json.loads(files(__package__).joinpath("configs", f"{series}.json").read_text("utf-8"))
    config: dict[str, Any] = parts["agent"]
    for role, enabled in (("server", server), ("client", client)):
        config = _merge(config, parts.get(role, {}) if enabled else {})
    return config


def _merge(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, **{key: _merge_value(config.get(key), value) for key, value in changes.items()}}


def _merge_value(old: object, new: object) -> object:
    return _merge(old, new) if isinstance(old, dict) and isinstance(new, dict) else new


def _from_setup(setup: Setup) -> dict[str, Any]:
    """Return the values that the setup defines, in any version."""
    return {
        "ACL": {"Enabled": setup.acl},
        "Addresses": {"HTTP": setup.host, "RPC": setup.host, "Serf": setup.host},
        "AdvertiseAddrs": _advertise_addrs(setup),
        "BindAddr": setup.host,
        "Client": {"Enabled": setup.client, "Servers": list(setup.servers) or None},
        "Datacenter": setup.datacenter,
        "EnableDebug": setup.enable_debug,
        "NodeName": setup.name if setup.sets_name else "",
        "Ports": {"HTTP": setup.http, "RPC": setup.rpc, "Serf": setup.serf},
        "Region": setup.region,
        "Server": _server(setup),
        "TLSConfig": _tls(setup.tls) if setup.tls else {},
        "Version": {"Version": setup.version.build},
    }


def _advertise_addrs(setup: Setup) -> dict[str, str]:
    # Nomad adds the port to the serf address of servers only.
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
