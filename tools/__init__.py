"""Programs for development: the generator of docs/, a long fuzz run and a soak test."""
