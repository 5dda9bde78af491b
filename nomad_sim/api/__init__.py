"""The HTTP API of the simulated agents: responses computed from the model at one point in time."""
