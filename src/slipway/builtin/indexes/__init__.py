"""Indexes of passages: dense vectors (faiss) and words (tantivy). Caches that can be rebuilt from chunks."""
