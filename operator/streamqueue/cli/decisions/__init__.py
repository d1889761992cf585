"""Why a queue had so many workers: what the operator that leads remembers."""
