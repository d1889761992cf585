"""Environment variables of worker and reclaim pods."""

from __future__ import annotations

from typing import Any

from streamqueue.api.spec import QueueSpec, Redis


def worker_environment(spec: QueueSpec) -> list[dict[str, Any]]:
    """What a plain loop needs. Times are seconds; the consumer is the pod's name, so that its entries are its own."""
    return [
        redis_url(spec.redis),
        literal("STREAMQUEUE_STREAM", spec.stream),
        literal("STREAMQUEUE_GROUP", spec.group),
        {"name": "STREAMQUEUE_CONSUMER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        literal("STREAMQUEUE_VISIBILITY_TIMEOUT", _number(spec.delivery.visibility_timeout)),
        literal("STREAMQUEUE_BATCH", str(spec.handler.batch)),
        literal("STREAMQUEUE_CONCURRENCY", str(spec.handler.concurrency)),
        literal("STREAMQUEUE_TIMEOUT", _number(spec.handler.timeout)),
    ]


def redis_url(redis: Redis) -> dict[str, Any]:
    """`STREAMQUEUE_REDIS_URL`: the URL itself, or a reference that only the kubelet resolves."""
    if redis.secret_ref is None:
        return literal("STREAMQUEUE_REDIS_URL", redis.url or "")
    reference = {"name": redis.secret_ref.name, "key": redis.secret_ref.key}
    return {"name": "STREAMQUEUE_REDIS_URL", "valueFrom": {"secretKeyRef": reference}}


def literal(name: str, value: str) -> dict[str, Any]:
    """A variable that arrives as it is written: the kubelet would expand `$(NAME)`, a doubled dollar stops it."""
    return {"name": name, "value": value.replace("$", "$$")}


def _number(seconds: float) -> str:
    return str(int(seconds)) if seconds.is_integer() else str(seconds)
