"""The watching: when an agent is asked, in what order, and what we know of it then."""
