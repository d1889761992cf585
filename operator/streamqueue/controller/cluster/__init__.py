"""The API server: what it holds as we know it, and how we write to it."""
