"""Choosing a model: which ones fit the needs (`recommend`), and how they compare when they are asked (`bench`)."""
