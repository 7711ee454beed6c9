"""How an older catalog becomes a newer one. Each step is frozen: it knows the tables as they were, never `tables`."""
