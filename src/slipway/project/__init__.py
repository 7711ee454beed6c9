"""The declarative file: its schema, how it is loaded, and how a new one is scaffolded."""
