"""Real servers for the tests: unpacked from distribution packages into a private cache, run on free ports."""
