"""Sockets, signals and the HTTP server of the exporter."""
