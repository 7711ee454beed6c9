"""Traces and feedback on their way to the disk."""
