"""Brings up a kind cluster with the project's images, for the demo, the tests and CI.

`python -m tests.cluster up` is the entry point; every step looks first whether it is already done.
"""
