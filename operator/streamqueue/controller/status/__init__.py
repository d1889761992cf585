"""What is said of a queue: conditions, events, metrics."""
