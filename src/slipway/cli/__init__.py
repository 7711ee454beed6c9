"""The command line: parse, call `api`, render. Knows no stage; the only place that prints."""
