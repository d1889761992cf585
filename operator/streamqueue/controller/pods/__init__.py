"""What worker pods tell: how they are, what they hold, and how they ended."""
