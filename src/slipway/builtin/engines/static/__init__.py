"""Sentence vectors from a table of token vectors."""
