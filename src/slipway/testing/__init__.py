"""Contract suites that every plug-in must pass, ours and other people's. Needs pytest; nothing at run time uses it."""
