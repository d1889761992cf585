"""Traces through queues, with OpenTelemetry where it is installed."""
