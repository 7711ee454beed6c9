"""Tasks: what an input, a reference and an output are."""
