"""What Prometheus and Grafana are given: alert rules and a dashboard over the metrics of a server (`/metrics`)."""
