"""The endpoints where models answer: which model, when, and in which shape."""
