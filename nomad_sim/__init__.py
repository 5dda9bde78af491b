"""A simulated Nomad cluster: a model of Raft, gossip and heartbeats, and the HTTP API of its agents."""
