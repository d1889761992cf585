"""How many looks at queues a second one connection takes."""
