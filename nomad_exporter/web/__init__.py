"""The HTTP pages: pure functions of the store, the request and the instant."""
