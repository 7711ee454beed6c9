"""Indexes that other programs hold: Qdrant, Chroma, PostgreSQL with pgvector, OpenSearch."""
