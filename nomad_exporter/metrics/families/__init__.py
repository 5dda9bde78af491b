"""The metric families, one module for each source or subject."""
