"""The settings of an exporter without flags, variables and file."""

from __future__ import annotations

from typing import Any

from nomad_exporter.config.parsers import AgentUrl
from nomad_exporter.config.settings import SETTINGS
from nomad_exporter.nomad.agent import Address
from nomad_exporter.server.listen import Listen

HTTP = Address("http", "nomad.example.org", 4646)

DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(SETTINGS),
    "address": AgentUrl(HTTP),
    "skip_verify": False,
    "interval": 15.0,
    "health_interval": 5.0,
    "autopilot": False,
    "failure_threshold": 3,
    "heartbeat_grace": 10.0,
    "max_leader_contact": 10.0,
    "max_apply_lag": 1000,
    "trust_gossip": False,
    "listen": (Listen("", 9441),),
    "enable_lifecycle": False,
    "log_level": "info",
    "log_format": "logfmt",
}
