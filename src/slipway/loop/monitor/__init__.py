"""Watching what is served: is it worse than what was released, does it change, do the questions."""
