"""Ways to do the task, made into candidates: frozen, pinned, comparable."""
