"""Labelling: units of traffic, examples or documents become queues; judgements become rows with lineage."""
