"""How a run ends: what is said to Redis of its task, and what Redis said to that."""
