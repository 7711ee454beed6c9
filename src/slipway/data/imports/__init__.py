"""Examples that were written for other tools, read from those tools' files."""
