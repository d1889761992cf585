"""Breaks things under load and counts what came of it."""
