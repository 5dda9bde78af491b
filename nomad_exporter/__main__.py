"""``python -m nomad_exporter`` is the same as ``nomad-exporter``."""

from nomad_exporter.cli import main

if __name__ == "__main__":
    main()
