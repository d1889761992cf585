"""A typed spec as a manifest writes it: the inverse of `parse_spec`."""

from __future__ import annotations

from typing import Any

from streamqueue.api.durations import format_duration
from streamqueue.api.spec import (
    Delivery,
    Handler,
    Next,
    Protocol,
    QueueSpec,
    Reclaim,
    Redis,
    Retention,
    Scaling,
    SecretKey,
    TargetBacklog,
    TargetWait,
)


def render_spec(spec: QueueSpec) -> dict[str, Any]:
    """The `.spec` that `parse_spec` reads as `spec`, every default written out. Durations round to milliseconds."""
    return _present(
        redis=_redis(spec.redis),
        stream=spec.stream,
        group=spec.group,
        startFrom=spec.start_from,
        handler=_handler(spec.handler),
        delivery=_delivery(spec.delivery),
        results=None if spec.results_ttl is None else {"ttl": format_duration(spec.results_ttl)},
        reclaim=_reclaim(spec.reclaim),
        retention=_retention(spec.retention),
        next=_next(spec.next) if spec.next else None,
        scaling=_scaling(spec.scaling),
        template=dict(spec.template) or None,
    )


def _redis(redis: Redis) -> dict[str, Any]:
    return _present(
        url=redis.url,
        secretRef=_secret_key(redis.secret_ref),
        mode=str(redis.mode),
        tls={"caSecretRef": _secret_key(redis.ca_secret_ref)} if redis.ca_secret_ref else None,
        auth=str(redis.auth),
    )


def _secret_key(reference: SecretKey | None) -> dict[str, str] | None:
    return {"name": reference.name, "key": reference.key} if reference else None


def _handler(handler: Handler) -> dict[str, Any]:
    rendered = _present(
        metricsPort=handler.metrics_port, processes=handler.processes if handler.processes > 1 else None
    ) | {
        "image": handler.image,
        "protocol": str(handler.protocol),
        "concurrency": handler.concurrency,
        "batch": handler.batch,
        "timeout": format_duration(handler.timeout),
    }
    return rendered | _http(handler) if handler.protocol is Protocol.HTTP else rendered


def _http(handler: Handler) -> dict[str, Any]:
    body = handler.body and {"field": handler.body.field, "contentType": handler.body.content_type}
    return _present(port=handler.port, path=handler.path, body=body)


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return _present(requeue=str(delivery.requeue) if delivery.reaches_others else None) | {
        "visibilityTimeout": format_duration(delivery.visibility_timeout),
        "maxDeliveries": delivery.max_deliveries,
        "backoff": {
            "initial": format_duration(delivery.backoff.initial),
            "max": format_duration(delivery.backoff.max),
        },
        "deadLetter": {"maxLength": delivery.dead_letter_max_length},
    }


def _reclaim(reclaim: Reclaim) -> dict[str, Any]:
    return _present(
        schedule=reclaim.schedule,
        idleConsumerTTL=format_duration(reclaim.idle_consumer_ttl),
        suspend=reclaim.suspend,
    )


def _retention(retention: Retention) -> dict[str, Any]:
    return _present(
        policy=str(retention.policy), maxAge=_optional_duration(retention.max_age), maxLength=retention.max_length
    )


def _next(following: Next) -> dict[str, Any]:
    return _present(stream=following.stream, redis=_redis(following.redis) if following.redis else None)


def _scaling(scaling: Scaling) -> dict[str, Any]:
    return _present(
        minReplicas=scaling.min_replicas,
        maxReplicas=scaling.max_replicas,
        **_target(scaling.target),
        replicas=scaling.replicas,
        paused=scaling.paused,
        pollingInterval=format_duration(scaling.polling_interval),
        scaleDown=_scale_down(scaling),
        scaleUp=_present(maxStep=scaling.scale_up.max_step),
    )


def _target(target: TargetWait | TargetBacklog) -> dict[str, Any]:
    if isinstance(target, TargetBacklog):
        return {"targetBacklog": target.tasks}
    return {"targetWait": format_duration(target.seconds)}


def _scale_down(scaling: Scaling) -> dict[str, Any]:
    delay = scaling.scale_down.delay if isinstance(scaling.target, TargetBacklog) else None
    return _present(delay=_optional_duration(delay), maxStep=scaling.scale_down.max_step)


def _optional_duration(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(seconds)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
