"""The `streamqueue` program, also `kubectl streamqueue`: looks at queues, mends them, and says what is wrong."""
