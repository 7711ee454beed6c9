"""Slipway: from documents and examples to a measured, gated, monitored LLM service. The public verbs are in `api`."""

__version__ = "0.1.0"
