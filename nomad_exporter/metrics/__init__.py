"""The catalogue of metric families, and the pages made of them."""
