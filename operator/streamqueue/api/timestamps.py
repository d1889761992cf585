"""Times as the Kubernetes API writes them."""

from __future__ import annotations

import datetime


def epoch(timestamp: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return datetime.datetime.fromisoformat(timestamp).timestamp()


def rfc3339(seconds: float) -> str:
    """To the second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
