"""An engine in a process of its own: its side, the keeping of it, requests to it."""
