"""Measure a candidate: answer the frozen examples, score, aggregate, compare, render."""
