"""Classifiers without a language model: features of a text, how they are fitted, and the file that is kept of one."""
