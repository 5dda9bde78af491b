"""The metric families of the catalogue, one module per source or subject."""
