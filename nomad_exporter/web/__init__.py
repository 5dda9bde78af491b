"""What is served: every page is a pure function of what is known, the request and the instant."""
