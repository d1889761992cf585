"""Prometheus and promtool for the tests: unpacked from Debian packages into a private cache, run on free ports."""
