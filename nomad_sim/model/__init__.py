"""The life of a cluster in small: raft, gossip, autopilot, clients. Time is an argument, chance comes from a seed."""
