"""The HTTP API of the simulated agents: what an agent answers, from the model and an instant."""
