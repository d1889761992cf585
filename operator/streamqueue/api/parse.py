"""A StreamQueue's `.spec` as typed values.

Repeats every rule of the CRD that one object can break, so that the operator is safe where the CRD was changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from streamqueue.api.block import Block
from streamqueue.api.cron import check_schedule
from streamqueue.api.durations import format_duration
from streamqueue.api.errors import SpecError
from streamqueue.api.keys import tagged
from streamqueue.api.spec import (
    Backoff,
    Body,
    Delivery,
    Handler,
    Next,
    Protocol,
    QueueSpec,
    Reclaim,
    Redis,
    RedisAuth,
    RedisMode,
    Requeue,
    Retention,
    RetentionPolicy,
    ScaleDown,
    ScaleUp,
    Scaling,
    SecretKey,
)
from streamqueue.api.template import check_http_template, check_template

NAME_MAX_LENGTH = 40  # `<name>-reclaim` is a CronJob, whose names end at 52
MAX_REPLICAS = 10_000

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_SCHEME = re.compile(r"rediss?(\+sentinel)?://")
_URL = re.compile(rf"rediss?://{_HOST}(/[0-9]{{0,5}})?")
_SENTINEL_URL = re.compile(rf"rediss?\+sentinel://{_HOST}(,{_HOST})*/[A-Za-z0-9._-]+(/[0-9]{{0,5}})?")
_PATH = re.compile(r"/[!$-~]*")
_CONTENT_TYPE = re.compile(r"[!-~][ -~]*")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_START_FROM = re.compile(r"0|\$|[0-9]{1,19}(-[0-9]{1,19})?")

_DELIVERY = Delivery()
_RECLAIM = Reclaim()
_SCALING = Scaling()
_HANDLER = Handler(image="")
_BODY = Body(field="")


def check_name(name: str) -> None:
    """Raises SpecError if a queue cannot have this `metadata.name`."""
    if len(name) > NAME_MAX_LENGTH:
        raise SpecError("metadata.name", f"must have at most {NAME_MAX_LENGTH} characters, not {len(name)}")


def parse_spec(raw: Mapping[str, Any]) -> QueueSpec:
    """The typed form of `raw`, the `.spec` of a StreamQueue, defaults filled in. Raises SpecError."""
    spec = Block(
        raw,
        "spec",
        *("redis", "stream", "group", "startFrom", "handler"),
        *("delivery", "results", "reclaim", "retention", "next", "scaling", "template"),
    )
    handler = _handler(spec)
    parsed = QueueSpec(
        redis=_redis(spec),
        stream=_stream(spec),
        group=spec.required_text("group", 128),
        start_from=_start_from(spec),
        handler=handler,
        delivery=_delivery(spec, handler.protocol),
        results_ttl=_results_ttl(spec),
        reclaim=_reclaim(spec),
        retention=_retention(spec),
        next=_next(spec),
        scaling=_scaling(spec, handler.concurrency),
        template=_template(spec, handler.protocol),
    )
    _check_visibility(parsed)
    _check_next(parsed)
    return parsed


def _redis(spec: Block) -> Redis:
    if not spec.has("redis"):
        raise spec.error("redis", "is required: set url or secretRef")
    block = spec.block("redis", "url", "secretRef", "mode", "tls", "auth")
    if block.has("url") == block.has("secretRef"):
        raise spec.error("redis", "set exactly one of url and secretRef")
    redis = Redis(
        url=_url(block) if block.has("url") else None,
        secret_ref=_secret_key(block, "secretRef") if block.has("secretRef") else None,
        mode=RedisMode(block.choice("mode", tuple(RedisMode), RedisMode.AUTO)),
        ca_secret_ref=_secret_key(block.block("tls", "caSecretRef"), "caSecretRef") if block.has("tls") else None,
        auth=RedisAuth(block.choice("auth", tuple(RedisAuth), RedisAuth.PASSWORD)),
    )
    if redis.url:
        _check_url(block, redis, redis.url)
    return redis


def _secret_key(block: Block, name: str) -> SecretKey:
    if not block.has(name):
        raise block.error(name, "is required")
    secret = block.block(name, "name", "key")
    name, key = secret.required_text("name", 253), secret.required_text("key", 253)
    # A slash would lead the request for it into another namespace.
    if not _OBJECT_NAME.fullmatch(name):
        raise secret.error("name", "must be the name of a Secret in the queue's namespace, as in redis-credentials")
    if not _SECRET_KEY.fullmatch(key):
        raise secret.error("key", "must be a key of the Secret: letters, digits, '-', '_' and '.'")
    return SecretKey(name, key)


def _url(redis: Block) -> str:
    url = redis.required_text("url", 512)
    if not _SCHEME.match(url):
        raise redis.error("url", "must begin with redis:// or rediss://, or with redis+sentinel://")
    if "@" in url or "?" in url:
        raise redis.error("url", "must hold no user, password or option: put the whole URL in a Secret, use secretRef")
    if "+" in url and not _SENTINEL_URL.fullmatch(url):
        raise redis.error("url", "must be redis+sentinel://host:port,host:port/name/database")
    if "+" not in url and not _URL.fullmatch(url):
        raise redis.error("url", "must be redis://host:port/database, as in redis://redis:6379/0")
    return url


def _check_url(block: Block, redis: Redis, url: str) -> None:
    """What a URL in a Secret is checked for when it is used."""
    by_sentinel = "+sentinel://" in url
    if redis.mode is not RedisMode.AUTO and (redis.mode is RedisMode.SENTINEL) != by_sentinel:
        raise block.error("mode", "sentinel goes with a URL redis+sentinel://, standalone and cluster with redis://")
    if not url.startswith("rediss"):
        for name, used in (("tls", redis.ca_secret_ref), ("auth", redis.auth is RedisAuth.ENTRA)):
            if used:
                raise block.error(name, "needs a URL for TLS: write rediss:// or rediss+sentinel://")


def _stream(block: Block) -> str:
    stream = block.required_text("stream", 256)
    try:
        tagged(stream)
    except ValueError as error:
        raise block.error("stream", str(error)) from None
    return stream


def _start_from(spec: Block) -> str:
    start = spec.text("startFrom", 40, "0")
    if not _START_FROM.fullmatch(start):
        raise spec.error("startFrom", "must be '0' (all there is), '$' (what comes from now on) or an entry's id")
    return start


def _handler(spec: Block) -> Handler:
    if not spec.has("handler"):
        raise spec.error("handler", "is required: set handler.image")
    http = ("port", "path", "body")
    block = spec.block(
        "handler", "image", "protocol", "concurrency", "batch", "timeout", "processes", "metricsPort", *http
    )
    handler = Handler(
        image=block.required_text("image", 1024),
        protocol=Protocol(block.choice("protocol", tuple(Protocol), _HANDLER.protocol)),
        concurrency=block.integer("concurrency", 1, 1000, _HANDLER.concurrency),
        batch=block.integer("batch", 1, 10_000, _HANDLER.batch),
        timeout=block.duration("timeout", "100ms", "24h", _HANDLER.timeout),
        port=block.integer("port", 1, 65_535, _HANDLER.port),
        path=_path(block),
        body=_body(block),
        processes=block.integer("processes", 1, 256, _HANDLER.processes),
        metrics_port=block.integer("metricsPort", 1024, 65_535, None),
    )
    if handler.protocol is Protocol.HTTP and handler.batch != 1:
        raise block.error("batch", "is for loops that read Redis themselves: leave it out, set handler.concurrency")
    if block.has("processes") and handler.protocol is not Protocol.SDK:
        raise block.error("processes", "needs handler.protocol: sdk, whose worker forks them")
    if handler.processes > handler.concurrency:
        raise block.error("processes", f"is above handler.concurrency, {handler.concurrency}: raise that")
    if handler.metrics_port and handler.protocol is Protocol.REDIS:
        raise block.error("metricsPort", "needs handler.protocol sdk or http: a plain loop's metrics are its own")
    if handler.metrics_port == handler.port and handler.protocol is Protocol.HTTP:
        raise block.error("metricsPort", f"must be another than handler.port, {handler.port}")
    for name in http:
        if handler.protocol is not Protocol.HTTP and block.has(name):
            raise block.error(name, "needs handler.protocol: http")
    return handler


def _path(handler: Block) -> str:
    path = handler.text("path", 1024, _HANDLER.path)
    if not _PATH.fullmatch(path):
        raise handler.error("path", "must begin with / and hold neither spaces nor #, as in /tasks")
    return path


def _body(handler: Block) -> Body | None:
    if not handler.has("body"):
        return None
    block = handler.block("body", "field", "contentType")
    content_type = block.text("contentType", 256, _BODY.content_type)
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise block.error("contentType", "must be printable ASCII, as in image/png")
    return Body(block.required_text("field", 256), content_type)


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
    return Next(_stream(block), _redis(block) if block.has("redis") else None)


def _scaling(spec: Block, concurrency: int) -> Scaling:
    block = spec.block(
        "scaling",
        *("minReplicas", "maxReplicas", "targetWait", "targetBacklog", "replicas"),
        *("paused", "pollingInterval", "scaleDown", "scaleUp"),
    )
    if block.has("targetWait") and block.has("targetBacklog"):
        raise spec.error("scaling", "set targetWait or targetBacklog, not both")
    down = block.block("scaleDown", "delay", "maxStep")
    if down.has("delay") and not block.has("targetBacklog"):
        raise down.error("delay", "needs scaling.targetBacklog: with targetWait it is learnt, so leave it out")
    up = block.block("scaleUp", "maxStep")
    scaling = Scaling(
        min_replicas=block.integer("minReplicas", 0, MAX_REPLICAS, _SCALING.min_replicas),
        max_replicas=block.integer("maxReplicas", 1, MAX_REPLICAS, _SCALING.max_replicas),
        target_wait=block.duration(
            "targetWait", "1s", "24h", None if block.has("targetBacklog") else _SCALING.target_wait
        ),
        target_backlog=block.integer("targetBacklog", 1, 1_000_000, None),
        replicas=block.integer("replicas", 0, MAX_REPLICAS, None),
        paused=block.flag("paused", _SCALING.paused),
        polling_interval=block.duration("pollingInterval", "200ms", "1m", _SCALING.polling_interval),
        scale_down=ScaleDown(
            delay=down.duration("delay", "0s", "1h", _SCALING.scale_down.delay),
            max_step=down.integer("maxStep", 1, MAX_REPLICAS, None),
        ),
        scale_up=ScaleUp(max_step=up.integer("maxStep", 1, MAX_REPLICAS, None)),
        concurrency=concurrency,
    )
    if scaling.min_replicas > scaling.max_replicas:
        raise block.error(
            "minReplicas", f"is {scaling.min_replicas}, above maxReplicas, {scaling.max_replicas}: change one of them"
        )
    if scaling.replicas is not None and scaling.replicas > scaling.max_replicas:
        raise block.error(
            "replicas", f"is {scaling.replicas}, above maxReplicas, {scaling.max_replicas}: raise maxReplicas first"
        )
    return scaling


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
