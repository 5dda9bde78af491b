"""Nomad's agent API: agents, their decoded answers, and the transport to them."""
