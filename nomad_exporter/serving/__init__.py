"""Sockets, signals and the HTTP server, for the exporter and whatever else of this package serves HTTP."""
