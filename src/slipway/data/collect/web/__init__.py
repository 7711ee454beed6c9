"""Web pages: a polite crawler that stays within its scope and its limits."""
