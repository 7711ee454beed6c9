"""The only place that knows all stages: what follows from what, what is out of date, and what was run."""
