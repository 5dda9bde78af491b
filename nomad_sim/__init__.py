"""A simulated Nomad cluster: a model of it, and the HTTP API of its agents."""
