"""Settings: one table, from which options, environment, help and documentation are made."""
