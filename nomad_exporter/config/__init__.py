"""Configuration: one table of settings, from which flags, environment, file, help and documentation are made."""
