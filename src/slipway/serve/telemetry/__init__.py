"""What a server tells an OpenTelemetry collector: a trace of each request, and histograms over all of them."""
