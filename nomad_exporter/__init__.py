"""A Prometheus exporter and health bridge for HashiCorp Nomad agents."""

__version__ = "0.1.0"
