"""Supervised fine-tuning of causal language models that are GGUF files, and what comes out as GGUF files again."""
