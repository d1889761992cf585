"""Environment variables of worker and reclaim pods."""

from __future__ import annotations

from typing import Any

from streamqueue.api.spec import Handler, QueueSpec, Redis, RedisAuth, RedisMode
from streamqueue.manifests.grace import tasks_grace
from streamqueue.manifests.redis import Names, endpoints, rereads


def worker_environment(spec: QueueSpec) -> list[dict[str, Any]]:
    """What a worker reads: see `worker.settings`; a plain loop needs the first few alone.

    Times are seconds. The consumer is the pod's name, so that its entries are its own.
    """
    delivery = spec.delivery
    return [
        *redis_environment(spec, files=rereads(spec)),
        literal("STREAMQUEUE_STREAM", spec.stream),
        literal("STREAMQUEUE_GROUP", spec.group),
        {"name": "STREAMQUEUE_CONSUMER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        literal("STREAMQUEUE_START_FROM", spec.start_from),
        literal("STREAMQUEUE_VISIBILITY_TIMEOUT", _number(delivery.visibility_timeout)),
        literal("STREAMQUEUE_BATCH", str(spec.handler.batch)),
        literal("STREAMQUEUE_CONCURRENCY", str(spec.handler.concurrency)),
        literal("STREAMQUEUE_TIMEOUT", _number(spec.handler.timeout)),
        literal("STREAMQUEUE_GRACE", str(tasks_grace(spec.handler))),
        literal("STREAMQUEUE_MAX_DELIVERIES", str(delivery.max_deliveries)),
        literal("STREAMQUEUE_DEAD_LETTER_MAX_LENGTH", str(delivery.dead_letter_max_length)),
        literal("STREAMQUEUE_BACKOFF_INITIAL", _number(delivery.backoff.initial)),
        literal("STREAMQUEUE_BACKOFF_MAX", _number(delivery.backoff.max)),
        literal("STREAMQUEUE_RESULTS_TTL", _number(spec.results_ttl or 0.0)),
        *([literal("STREAMQUEUE_PROCESSES", str(count))] if (count := spec.handler.processes) > 1 else []),
        *([literal("STREAMQUEUE_METRICS_PORT", str(port))] if (port := spec.handler.metrics_port) else []),
        *([literal("STREAMQUEUE_NEXT_STREAM", spec.next.stream)] if spec.next else []),
    ]


def metrics_port(handler: Handler) -> dict[str, Any]:
    """Fields of the container that reads the stream."""
    if handler.metrics_port is None:
        return {}
    return {"ports": [{"name": "metrics", "containerPort": handler.metrics_port, "protocol": "TCP"}]}


def runner_environment(spec: QueueSpec) -> list[dict[str, Any]]:
    """What the http runner reads besides: see `worker.http.settings`."""
    handler = spec.handler
    variables = [literal("STREAMQUEUE_HANDLER_URL", f"http://127.0.0.1:{handler.port}{handler.path}")]
    if handler.body:
        variables.append(literal("STREAMQUEUE_BODY_FIELD", handler.body.field))
        variables.append(literal("STREAMQUEUE_BODY_CONTENT_TYPE", handler.body.content_type))
    return [*worker_environment(spec), *variables]


def redis_environment(spec: QueueSpec, *, files: bool = False) -> list[dict[str, Any]]:
    """The URLs, and what differs from a server, or a cluster, with a password and a certificate of a public CA.

    `files`: URLs of Secrets are in files that are mounted.
    """
    return [variable for names, redis in endpoints(spec) for variable in _endpoint(names, redis, files)]


def _endpoint(names: Names, redis: Redis, files: bool) -> list[dict[str, Any]]:
    variables = [_url(names, redis, files)]
    if redis.mode is not RedisMode.AUTO:
        variables.append(literal(f"{names.prefix}_MODE", redis.mode))
    if redis.ca_secret_ref:
        variables.append(literal(f"{names.prefix}_CA_FILE", names.ca.path))
    if redis.auth is not RedisAuth.PASSWORD:
        variables.append(literal(f"{names.prefix}_AUTH", redis.auth))
    return variables


def _url(names: Names, redis: Redis, files: bool) -> dict[str, Any]:
    """The URL itself, where it is, or a reference that only the kubelet resolves."""
    name = f"{names.prefix}_URL"
    if redis.secret_ref is None:
        return literal(name, redis.url or "")
    if files:
        return literal(f"{name}_FILE", names.url.path)
    reference = {"name": redis.secret_ref.name, "key": redis.secret_ref.key}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def literal(name: str, value: str) -> dict[str, Any]:
    """A variable that arrives as it is written: the kubelet would expand `$(NAME)`, a doubled dollar stops it."""
    return {"name": name, "value": value.replace("$", "$$")}


def _number(seconds: float) -> str:
    return str(int(seconds)) if seconds.is_integer() else str(seconds)
