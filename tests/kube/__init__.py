"""A test cluster as demo and e2e tests use it: kubectl, a watch, the chart, Redis servers."""
