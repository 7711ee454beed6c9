"""What a request may hold, checked before anything reaches a model."""
