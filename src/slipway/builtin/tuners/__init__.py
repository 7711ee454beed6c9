"""Tuners: they make models and adapters."""
