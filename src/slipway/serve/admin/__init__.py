"""What is asked about the server rather than of a model."""
