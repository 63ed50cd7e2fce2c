"""What the server counts, and how it is shown to Prometheus."""
