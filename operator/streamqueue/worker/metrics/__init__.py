"""What a worker counts and measures, and where Prometheus reads it."""
