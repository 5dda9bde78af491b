"""The HTTP server of the exporter: its sockets, its signals and the types of ASGI."""
