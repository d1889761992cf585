"""The spec as a whole: its small blocks, and what holds between blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from streamqueue.api.block import Block
from streamqueue.api.cron import check_schedule
from streamqueue.api.durations import format_duration
from streamqueue.api.errors import SpecError
from streamqueue.api.keys import tagged
from streamqueue.api.names import OBJECT_NAME
from streamqueue.api.parse.endpoint import parse_redis
from streamqueue.api.parse.handler import parse_handler
from streamqueue.api.parse.scaling import parse_scaling
from streamqueue.api.spec import (
    START_FROM,
    Backoff,
    Delivery,
    Next,
    Protocol,
    QueueSpec,
    Reclaim,
    Redis,
    Requeue,
    Retention,
    RetentionPolicy,
)
from streamqueue.api.template import check_http_template, check_template

NAME_MAX_LENGTH = 40  # `<name>-reclaim` is a CronJob, whose names end at 52

_DELIVERY = Delivery()
_RECLAIM = Reclaim()


def check_name(name: str) -> None:
    """Raises SpecError if a queue cannot have this `metadata.name`."""
    if len(name) > NAME_MAX_LENGTH:
        raise SpecError("metadata.name", f"must have at most {NAME_MAX_LENGTH} characters, not {len(name)}")
    if not re.fullmatch(OBJECT_NAME, name):
        raise SpecError("metadata.name", "must be small letters, digits, '-' and '.', as in orders-eu")


def parse_spec(raw: Mapping[str, Any]) -> QueueSpec:
    """The typed form of `raw`, the `.spec` of a StreamQueue, defaults filled in. Raises SpecError."""
    spec = Block(
        raw,
        "spec",
        *("redis", "stream", "group", "startFrom", "handler"),
        *("delivery", "results", "reclaim", "retention", "next", "scaling", "template"),
    )
    handler = parse_handler(spec)
    parsed = QueueSpec(
        redis=parse_redis(spec),
        stream=_stream(spec),
        group=spec.required_text("group", 128),
        start_from=_start_from(spec),
        handler=handler,
        delivery=_delivery(spec, handler.protocol),
        results_ttl=_results_ttl(spec),
        reclaim=_reclaim(spec),
        retention=_retention(spec),
        next=_next(spec),
        scaling=parse_scaling(spec, handler),
        template=_template(spec, handler.protocol),
    )
    _check_visibility(parsed)
    _check_next(parsed)
    return parsed


def _stream(block: Block) -> str:
    stream = block.required_text("stream", 256)
    try:
        tagged(stream)
    except ValueError as error:
        raise block.error("stream", str(error)) from None
    return stream


def _start_from(spec: Block) -> str:
    start = spec.text("startFrom", 40, "0")
    if not START_FROM.fullmatch(start):
        raise spec.error("startFrom", "must be '0' (all there is), '$' (what comes from now on) or an entry's id")
    return start


def _delivery(spec: Block, protocol: Protocol) -> Delivery:
    block = spec.block("delivery", "visibilityTimeout", "maxDeliveries", "requeue", "backoff", "deadLetter")
    if block.has("requeue") and protocol is not Protocol.REDIS:
        raise block.error("requeue", "needs handler.protocol: redis: other work comes back by claim, leave it out")
    dead_letter = block.block("deadLetter", "maxLength")
    return Delivery(
        visibility_timeout=block.duration("visibilityTimeout", "1s", "168h", _DELIVERY.visibility_timeout),
        max_deliveries=block.integer("maxDeliveries", 1, 1000, _DELIVERY.max_deliveries),
        dead_letter_max_length=dead_letter.integer("maxLength", 1, 10_000_000, _DELIVERY.dead_letter_max_length),
        backoff=_backoff(block),
        requeue=Requeue(block.choice("requeue", tuple(Requeue), _DELIVERY.requeue)),
    )


def _backoff(delivery: Block) -> Backoff:
    block = delivery.block("backoff", "initial", "max")
    backoff = Backoff(
        initial=block.duration("initial", "10ms", "24h", _DELIVERY.backoff.initial),
        max=block.duration("max", "10ms", "24h", _DELIVERY.backoff.max),
    )
    if backoff.initial > backoff.max:
        longest, first = format_duration(backoff.max), format_duration(backoff.initial)
        raise delivery.error("backoff", f"initial is {first}, above max, {longest}: change one of them")
    return backoff


def _results_ttl(spec: Block) -> float | None:
    if not spec.has("results"):
        return None
    block = spec.block("results", "ttl")
    if not block.has("ttl"):
        raise block.error("ttl", "is required: how long results are kept, such as 1h")
    return block.duration("ttl", "1s", "8760h", None)


def _reclaim(spec: Block) -> Reclaim:
    block = spec.block("reclaim", "schedule", "idleConsumerTTL", "suspend")
    schedule = block.text("schedule", 100, None)
    if schedule is not None:
        try:
            check_schedule(schedule)
        except ValueError as error:
            raise block.error("schedule", str(error)) from None
    return Reclaim(
        schedule=schedule,
        idle_consumer_ttl=block.duration("idleConsumerTTL", "1m", "8760h", _RECLAIM.idle_consumer_ttl),
        suspend=block.flag("suspend", _RECLAIM.suspend),
    )


def _retention(spec: Block) -> Retention:
    block = spec.block("retention", "policy", "maxAge", "maxLength")
    policy = RetentionPolicy(block.choice("policy", tuple(RetentionPolicy), RetentionPolicy.NONE))
    limited = block.has("maxAge") or block.has("maxLength")
    if policy is RetentionPolicy.ACKNOWLEDGED and not limited:
        raise spec.error("retention", "policy acknowledged needs maxAge or maxLength")
    if policy is RetentionPolicy.NONE and limited:
        raise spec.error("retention", "maxAge and maxLength need policy: acknowledged")
    return Retention(
        policy=policy,
        max_age=block.duration("maxAge", "1s", "87600h", None),
        max_length=block.integer("maxLength", 1, 1_000_000_000, None),
    )


def _next(spec: Block) -> Next | None:
    if not spec.has("next"):
        return None
    block = spec.block("next", "stream", "redis")
    return Next(_stream(block), parse_redis(block) if block.has("redis") else None)


def _template(spec: Block, protocol: Protocol) -> Mapping[str, Any]:
    template = spec.value("template")
    if template is None:
        return {}
    check_template(template, "spec.template")
    if protocol is Protocol.HTTP:
        check_http_template(template, "spec.template")
    return dict(template)


def _check_visibility(spec: QueueSpec) -> None:
    """A plain loop cannot renew a lease: its work must not look abandoned while a full batch is under way."""
    if spec.handler.protocol is not Protocol.REDIS:
        return
    least = 2 * spec.handler.timeout * spec.handler.batch
    if round(1000 * spec.delivery.visibility_timeout) < round(1000 * least):
        raise SpecError(
            "spec.delivery.visibilityTimeout",
            f"is {format_duration(spec.delivery.visibility_timeout)}, but must be at least 2 x handler.timeout x "
            f"handler.batch = {format_duration(least)}: raise it, or lower handler.timeout or handler.batch (workers "
            "of protocol sdk and http renew what they hold, and need not)",
        )


def _check_next(spec: QueueSpec) -> None:
    if spec.next and spec.handler.protocol is Protocol.REDIS:
        raise SpecError("spec.next", "needs handler.protocol sdk or http: a plain loop acknowledges its entries itself")
    if spec.next and spec.next.stream == spec.stream and _is_home(spec.next.redis, spec.redis):
        raise SpecError("spec.next", "must name another stream than the queue's own: a result would be a task again")


def _is_home(there: Redis | None, home: Redis) -> bool:
    """Whether it can be seen that both are one endpoint."""
    return there is None or (there.url, there.secret_ref) == (home.url, home.secret_ref)
