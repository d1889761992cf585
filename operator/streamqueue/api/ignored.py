"""Fields that a valid spec sets, and that do nothing with its protocol."""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.api.spec import Backoff, Protocol, QueueSpec


def ignored(spec: QueueSpec) -> Iterator[str]:
    """One clause for each such field: its name, why, and what to do."""
    protocol = spec.handler.protocol
    if protocol is Protocol.REDIS and spec.results_ttl is not None:
        yield (
            "results keeps nothing, for a plain loop says neither what it returned nor that it began: leave it out, or "
            "have workers of handler.protocol sdk or http"
        )
    if protocol is Protocol.REDIS and spec.delivery.backoff != Backoff():
        yield (
            "delivery.backoff delays nothing, for what a plain loop leaves comes back by delivery.visibilityTimeout: "
            "leave it out, or have workers of handler.protocol sdk or http"
        )
    if protocol is Protocol.SDK and spec.handler.batch > 1:
        yield (
            "handler.batch only gives pods more time to stop, for a worker of the SDK takes what handler.concurrency "
            "has room for: leave it out"
        )
