"""Incidents: sequences of faults with their expected verdicts and metrics, and a runner for them."""
