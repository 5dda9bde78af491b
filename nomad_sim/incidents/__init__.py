"""The incidents that the demo plays: stories as values, and what plays them."""
