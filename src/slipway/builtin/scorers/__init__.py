"""Metrics of one answer against one example. They know text and citations; not reports, intervals or gates.

Every score lies in [0, 1]. Against several references the best one counts. An answer with an `error` scores 0 where
the metric applies to the example.
"""
