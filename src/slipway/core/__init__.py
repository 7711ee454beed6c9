"""The nouns of the loop and the protocols of the plug-ins. Frozen values; no I/O; imports only `errors`."""
