"""Tasks into a queue, and what became of them."""
