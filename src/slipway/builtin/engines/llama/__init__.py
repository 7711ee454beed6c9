"""llama.cpp through xllamacpp: every GGUF model, adapters, log-probabilities."""
