"""Run ``nomad-exporter`` as ``python -m nomad_exporter``."""

from nomad_exporter.cli import main

if __name__ == "__main__":
    main()
