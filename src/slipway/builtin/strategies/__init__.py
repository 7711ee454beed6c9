"""Strategies: how a candidate does its task."""
