"""The statistics of the judge: intervals, tests, power, and what leads from scores to them."""
