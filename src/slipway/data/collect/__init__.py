"""What becomes documents: files of the project, and what was fetched from sites and databases. Parses nothing."""

from slipway.data.collect.found import Found
from slipway.data.collect.paths import matching
from slipway.data.collect.sources import collect

__all__ = ["Found", "collect", "matching"]
