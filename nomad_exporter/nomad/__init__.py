"""What Nomad is: agents, their answers, and the wire to them."""
