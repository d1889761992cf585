"""StreamQueue: a Kubernetes operator and autoscaler for Redis Streams task queues."""
