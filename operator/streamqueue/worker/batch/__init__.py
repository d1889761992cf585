"""Handlers that take many tasks in one call: `@worker.batch`."""
