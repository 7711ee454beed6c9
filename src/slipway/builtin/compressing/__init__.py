"""What makes models smaller: pruning of GGUF files and of encoders, int8 graphs, and what they lose by it."""
