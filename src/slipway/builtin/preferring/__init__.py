"""Learning from preferences, rewards and teachers: adapters for GGUF models, through torch, peft and trl."""
