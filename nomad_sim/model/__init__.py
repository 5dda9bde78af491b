"""A model of a Nomad cluster: Raft, gossip, autopilot, clients. Time is an argument; a seed fixes all random values."""
