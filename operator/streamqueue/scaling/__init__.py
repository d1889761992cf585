"""How many workers run, and which may go: Observation -> Decision. Pure: no clock, no I/O."""
