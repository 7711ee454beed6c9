"""Implementations of the plug-ins. Each module owns one; none knows the stages, the project or the store."""
