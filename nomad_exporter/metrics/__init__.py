"""The catalogue of metric families, and their rendering as Prometheus text."""
