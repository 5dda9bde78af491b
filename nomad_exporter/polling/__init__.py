"""Polling: when each agent is polled, in which order, and what is known of each agent afterwards."""
