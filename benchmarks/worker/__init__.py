"""Tasks per second of a worker process, side by side with a raw loop and with other task queues."""
