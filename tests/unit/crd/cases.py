"""Manifests that must be refused or accepted, by the API server (e2e) and by `parse_spec` (unit) alike."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Absent(Enum):
    """In place of a value: the field is not there."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.value


ABSENT = Absent.ABSENT
PASSWORD = "hunter2"

_VALID: dict[str, Any] = {
    "apiVersion": "streamqueue.dev/v1alpha1",
    "kind": "StreamQueue",
    "metadata": {"name": "orders"},
    "spec": {
        "redis": {"url": "redis://redis:6379/0"},
        "stream": "orders",
        "group": "workers",
        "handler": {"image": "registry.example/orders-handler:1.4"},
    },
}


@dataclass(frozen=True)
class Refused:
    """One rule broken. `says`: what the API server's error must hold; `names`: the field of the SpecError."""

    change: dict[str, Any]
    says: str
    names: str
    id: str = field(default="")


def manifest(change: dict[str, Any] | None = None) -> dict[str, Any]:
    """The valid manifest with each dotted path of `change` set to its value, or removed where that is ABSENT."""
    body = copy.deepcopy(_VALID)
    for path, value in (change or {}).items():
        *parents, last = path.split(".")
        target = body
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is ABSENT:
            del target[last]
        else:
            target[last] = value
    return body


def _spec(path: str, value: Any, says: str, names: str | None = None) -> Refused:
    """`spec.<path>` set to `value`; the error names `spec.<names>`, by default the same path."""
    return Refused({f"spec.{path}": value}, says, f"spec.{names or path}", f"{path}={str(value)[:40]}")


def _http(path: str, value: Any, says: str, names: str | None = None) -> Refused:
    """The same with protocol http."""
    refused = _spec(path, value, says, names)
    return Refused({"spec.handler.protocol": "http", **refused.change}, says, refused.names, f"http, {refused.id}")


def _handler(fields: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"name": "handler", **fields}]}


_SECRET_REF = {"name": "redis", "key": "url"}
_STOPPED_LAST = "must not set lifecycle.preStop or restartPolicy"
_FIRST = "template.spec.containers[0]"
_DURATION = "must be a duration from"

# What a redis block may not be.
_REDIS: list[Refused] = [
    _spec("redis", {}, "exactly one of redis.url and redis.secretRef"),
    _spec("redis.secretRef", _SECRET_REF, "exactly one of redis.url and redis.secretRef", "redis"),
    _spec("redis.url", "http://redis:6379", "begin with redis:// or rediss://"),
    _spec("redis.url", "redis:6379", "begin with redis:// or rediss://"),
    _spec("redis.url", f"redis://user:{PASSWORD}@redis:6379/0", "put the whole URL in a Secret"),
    _spec("redis.url", f"redis://:{PASSWORD}@redis:6379/0", "put the whole URL in a Secret"),
    _spec("redis.url", f"redis://redis:6379/0?password={PASSWORD}", "put the whole URL in a Secret"),
    _spec("redis.url", "redis://", "must be redis://host:port/database"),
    _spec("redis.url", "redis://redis:port", "must be redis://host:port/database"),
    _spec("redis.url", "redis://redis:6379/zero", "must be redis://host:port/database"),
    _spec("redis.url", "redis://two hosts:6379", "must be redis://host:port/database"),
    _spec("redis.url", "redis://" + "h" * 512, "Too long"),
    _spec("redis.url", "redis+sentinel://sentinel:26379", "must be redis+sentinel://host:port,host:port/name/database"),
    _spec("redis.url", "redis+sentinel://one,/mymaster", "must be redis+sentinel://host:port,host:port/name/database"),
    _spec("redis.url", "redis+tls://redis:6379", "begin with redis:// or rediss://"),
    _spec("redis.mode", "sentinel", "goes with a URL that begins with redis+sentinel://"),
    *(
        _spec(
            "redis",
            {"url": "redis+sentinel://sentinel/mymaster", "mode": mode},
            "goes with a URL that begins with redis+sentinel://",
            "redis.mode",
        )
        for mode in ("standalone", "cluster")
    ),
    _spec("redis.tls", {"caSecretRef": _SECRET_REF}, "redis.tls needs a URL for TLS"),
    _spec("redis.tls", {}, "tls.caSecretRef: Required", "redis.tls.caSecretRef"),
    *(
        _spec(
            "redis",
            {"url": "rediss://redis", "tls": {"caSecretRef": {**_SECRET_REF, field: "../other"}}},
            f"caSecretRef.{field} must be",
            f"redis.tls.caSecretRef.{field}",
        )
        for field in ("name", "key")
    ),
    _spec("redis.auth", "entra", "redis.auth entra needs a URL for TLS"),
    _spec("redis", {"secretRef": {"name": "redis"}}, "secretRef.key: Required", "redis.secretRef.key"),
    _spec("redis", {"secretRef": {"key": "url"}}, "secretRef.name: Required", "redis.secretRef.name"),
    _spec("redis", {"secretRef": {"name": "", "key": "url"}}, "secretRef.name", "redis.secretRef.name"),
    *(
        _spec("redis", {"secretRef": {"name": name, "key": "url"}}, "secretRef.name", "redis.secretRef.name")
        for name in (
            "../../other/secrets/redis",
            "other/redis",
            "..",
            ".",
            "Redis",
            "redis?watch=1",
            "redis%2f",
            "a\nb",
            "a..b",  # no object is named so
            "a.-b",
            "a-.b",
        )
    ),
    *(
        _spec("redis", {"secretRef": {"name": "redis", "key": key}}, "secretRef.key", "redis.secretRef.key")
        for key in ("a/b", "a b")
    ),
]


def _of_next(refused: Refused) -> Refused:
    """The same of `next.redis`."""
    good = {"spec.handler.protocol": "sdk", "spec.next.stream": "paid", "spec.next.redis.url": "redis://results:6379/0"}
    change = {f"spec.next.{path.removeprefix('spec.')}": value for path, value in refused.change.items()}
    names = f"spec.next.{refused.names.removeprefix('spec.')}"
    return Refused({**good, **change}, refused.says, names, f"next.{refused.id}")


REFUSED: list[Refused] = [
    Refused({"metadata.name": "q" * 41}, "at most 40 characters", "metadata.name", "a long name"),
    # redis
    _spec("redis", ABSENT, "spec.redis: Required"),
    *_REDIS,
    # stream, group, startFrom
    _spec("stream", ABSENT, "spec.stream: Required"),
    _spec("stream", "", "spec.stream"),
    _spec("stream", 7, "spec.stream"),
    _spec("stream", "s" * 257, "Too long"),
    _spec("stream", "or{ders", "exactly one non-empty hash tag"),
    _spec("stream", "{}orders", "exactly one non-empty hash tag"),
    _spec("stream", "{a}{b}", "exactly one non-empty hash tag"),
    _spec("stream", "{{a}}", "exactly one non-empty hash tag"),
    _spec("stream", "or\nders", "control characters"),
    _spec("group", ABSENT, "spec.group: Required"),
    _spec("group", "", "spec.group"),
    _spec("group", "g" * 129, "Too long"),
    _spec("group", "wor\tkers", "control characters"),
    _spec("group", "wor\x1fkers", "control characters"),
    _spec("group", "wor\x7fkers", "control characters"),
    _spec("startFrom", "yesterday", "startFrom must be"),
    _spec("startFrom", "", "startFrom must be"),
    _spec("startFrom", "1-2-3", "startFrom must be"),
    _spec("startFrom", "9" * 20, "startFrom must be"),
    _spec("startFrom", 0, "spec.startFrom"),
    # handler
    _spec("handler", ABSENT, "spec.handler: Required"),
    _spec("handler", {}, "handler.image: Required", "handler.image"),
    _spec("handler.image", "", "handler.image"),
    _spec("handler.image", "image\n", "control characters"),
    _spec("handler.protocol", "grpc", "handler.protocol"),
    _spec("handler.port", 8080, "need handler.protocol: http"),
    _spec("handler.path", "/", "need handler.protocol: http"),
    _spec("handler.body", {"field": "data"}, "need handler.protocol: http"),
    _spec("handler.processes", 1, "processes needs handler.protocol: sdk"),
    Refused(
        {"spec.handler.protocol": "sdk", "spec.handler.processes": 2},
        "must not be above handler.concurrency",
        "spec.handler.processes",
        "more processes than tasks",
    ),
    _spec("handler.metricsPort", 9090, "metricsPort needs handler.protocol sdk or http"),
    _http("handler.metricsPort", 8080, "must be another than handler.port"),
    _http("handler.metricsPort", 1023, "handler.metricsPort"),
    _http("handler.port", 0, "handler.port"),
    _http("handler.port", "8080", "handler.port"),
    _http("handler.path", "tasks", "handler.path must begin with /"),
    _http("handler.path", "/a b", "handler.path must begin with /"),
    _http("handler.path", "/#top", "handler.path must begin with /"),
    _http("handler.body", {}, "body.field: Required", "handler.body.field"),
    _http("handler.body", {"field": "a\nb"}, "control characters", "handler.body.field"),
    _http("handler.body", {"field": "a", "contentType": "é"}, "printable ASCII", "handler.body.contentType"),
    _http("handler.batch", 2, "handler.batch is for loops"),
    _http("template.spec", _handler({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}), _STOPPED_LAST, _FIRST),
    _http("template.spec", _handler({"restartPolicy": "Always"}), _STOPPED_LAST, _FIRST),
    _http(
        "template.spec",
        {"initContainers": [{"name": "handler", "lifecycle": {"preStop": {"exec": {"command": ["sync"]}}}}]},
        _STOPPED_LAST,
        "template.spec.initContainers[0]",
    ),
    *(
        _http("template.spec", {"containers": [{"name": "runner", field: value}]}, "runner is the operator's", _FIRST)
        for field, value in {"image": "x", "command": ["x"], "args": ["x"]}.items()
    ),
    _spec("handler.concurrency", 0, "handler.concurrency"),
    _spec("handler.concurrency", 1.5, "handler.concurrency"),
    _spec("handler.batch", 0, "handler.batch"),
    _spec("handler.batch", "5", "handler.batch"),
    _spec("handler.batch", True, "handler.batch"),
    _spec("handler.timeout", "2", _DURATION),
    _spec("handler.timeout", 120, "handler.timeout"),
    _spec("handler.timeout", "50ms", _DURATION),
    _spec("handler.timeout", "25h", _DURATION),
    # delivery
    _spec("delivery.visibilityTimeout", "0s", _DURATION),
    _spec("delivery.visibilityTimeout", "169h", _DURATION),
    _spec("delivery.visibilityTimeout", "7 days", _DURATION),
    _spec("delivery.visibilityTimeout", "3m59.999s", "2 x handler.timeout x handler.batch"),
    _spec("handler.timeout", "151s", "2 x handler.timeout x handler.batch", "delivery.visibilityTimeout"),
    _spec("handler.batch", 2, "2 x handler.timeout x handler.batch", "delivery.visibilityTimeout"),
    _spec("delivery.maxDeliveries", 0, "delivery.maxDeliveries"),
    _spec("delivery.deadLetter.maxLength", 0, "delivery.deadLetter.maxLength"),
    _spec("delivery.requeue", "other-groups", "delivery.requeue"),
    *(
        Refused(
            {"spec.handler.protocol": kind, "spec.delivery.requeue": choice},
            "delivery.requeue needs handler.protocol: redis",
            "spec.delivery.requeue",
            f"{kind}, requeue={choice}",
        )
        for kind in ("sdk", "http")
        for choice in ("single-group", "all-groups")
    ),
    _spec("delivery.backoff.initial", "9ms", _DURATION),
    _spec("delivery.backoff.max", "soon", _DURATION),
    _spec("delivery.backoff.initial", "5m1s", "initial (1s by default) must not be above", "delivery.backoff"),
    _spec("delivery.backoff.max", "999ms", "initial (1s by default) must not be above", "delivery.backoff"),
    # results
    _spec("results", {}, "results.ttl: Required", "results.ttl"),
    _spec("results.ttl", "0s", _DURATION),
    # reclaim
    _spec("reclaim.schedule", "*/5 * * *", "five cron fields"),
    _spec("reclaim.schedule", "@hourly", "five cron fields"),
    _spec("reclaim.schedule", "TZ=UTC 0 * * * *", "five cron fields"),
    _spec("reclaim.schedule", "0  * * * *", "five cron fields"),
    _spec("reclaim.schedule", "60 * * * *", "field 1 (minute)"),
    _spec("reclaim.schedule", "*/0 * * * *", "field 1 (minute)"),
    _spec("reclaim.schedule", "5, * * * *", "field 1 (minute)"),
    _spec("reclaim.schedule", "0 24 * * *", "field 2 (hour)"),
    _spec("reclaim.schedule", "0 0 32 * *", "field 3 (day of the month)"),
    _spec("reclaim.schedule", "0 0 0 * *", "field 3 (day of the month)"),
    _spec("reclaim.schedule", "0 0 1 13 *", "field 4 (month)"),
    _spec("reclaim.schedule", "0 0 1 foo *", "field 4 (month)"),
    _spec("reclaim.schedule", "0 0 * * 7", "field 5 (day of the week)"),
    _spec("reclaim.idleConsumerTTL", "59s", _DURATION),
    _spec("reclaim.suspend", "no", "reclaim.suspend"),
    # retention
    _spec("retention.policy", "acknowledged", "needs a limit", "retention"),
    _spec("retention.maxAge", "1h", "need retention.policy: acknowledged", "retention"),
    _spec("retention.maxLength", 10, "need retention.policy: acknowledged", "retention"),
    _spec("retention.policy", "all", "retention.policy"),
    _spec("retention", {"policy": "acknowledged", "maxAge": "0s"}, _DURATION, "retention.maxAge"),
    _spec("retention", {"policy": "acknowledged", "maxLength": 0}, "retention.maxLength", "retention.maxLength"),
    # next
    _spec("next", {"stream": "paid"}, "next needs handler.protocol"),
    *(
        Refused({"spec.handler.protocol": "sdk", "spec.next": value}, says, f"spec.{field}", f"next={value}")
        for value, says, field in (
            ({}, "next.stream: Required", "next.stream"),
            ({"stream": "orders"}, "another stream than the queue's own", "next"),
            (
                {"stream": "orders", "redis": {"url": "redis://redis:6379/0"}},
                "another stream than the queue's own",
                "next",
            ),
            ({"redis": {"url": "redis://results:6379/0"}}, "next.stream: Required", "next.stream"),
            ({"stream": "{a}{b}"}, "exactly one non-empty hash tag", "next.stream"),
            ({"stream": "a\nb"}, "control characters", "next.stream"),
        )
    ),
    Refused(
        {
            "spec.handler.protocol": "sdk",
            "spec.redis": {"secretRef": _SECRET_REF},
            "spec.next": {"stream": "orders", "redis": {"secretRef": _SECRET_REF, "mode": "standalone"}},
        },
        "another stream than the queue's own",
        "spec.next",
        "next, by the same Secret",
    ),
    *map(_of_next, _REDIS),
    # scaling
    _spec("scaling", {"targetWait": "30s", "targetBacklog": 5}, "targetWait or scaling.targetBacklog, not both"),
    _spec("scaling", {"minReplicas": 3, "maxReplicas": 2}, "minReplicas must not be above", "scaling.minReplicas"),
    _spec("scaling.minReplicas", 11, "minReplicas must not be above"),
    _spec("scaling.minReplicas", -1, "scaling.minReplicas"),
    _spec("scaling.maxReplicas", 0, "scaling.maxReplicas"),
    _spec("scaling.replicas", 11, "raise maxReplicas first"),
    _spec("scaling.replicas", -1, "scaling.replicas"),
    _spec("scaling.targetWait", "soon", _DURATION),
    _spec("scaling.targetWait", "999ms", _DURATION),
    _spec("scaling.targetBacklog", 0, "scaling.targetBacklog"),
    _spec("scaling.paused", "yes", "scaling.paused"),
    _spec("scaling.pollingInterval", "100ms", _DURATION),
    _spec("scaling", {"targetBacklog": 5, "scaleDown": {"delay": "-5s"}}, _DURATION, "scaling.scaleDown.delay"),
    _spec("scaling", {"targetBacklog": 5, "scaleDown": {"delay": "61m"}}, _DURATION, "scaling.scaleDown.delay"),
    _spec("scaling.scaleDown.delay", "5s", "scaleDown.delay needs scaling.targetBacklog"),
    _spec(
        "scaling",
        {"targetWait": "5s", "scaleDown": {"delay": "5s"}},
        "scaleDown.delay needs scaling.targetBacklog",
        "scaling.scaleDown.delay",
    ),
    _spec("scaling.scaleDown.maxStep", 0, "scaling.scaleDown.maxStep"),
    _spec("scaling.scaleUp.maxStep", 0, "scaling.scaleUp.maxStep"),
    # template
    _spec("template", [], "spec.template"),
    _spec("template.spec.restartPolicy", "Never", "restartPolicy is set by the operator"),
    _spec("template.spec.terminationGracePeriodSeconds", 5, "terminationGracePeriodSeconds is set by the operator"),
    _spec("template.spec.containers", {}, "template.spec.containers"),
    _spec("template.spec.containers", [{"image": "x"}], "name: Required", "template.spec.containers[0].name"),
    _spec("template.spec", _handler({"image": "x"}), "spec.handler.image", "template.spec.containers[0].image"),
    _spec(
        "template.spec",
        _handler({"env": [{"name": "STREAMQUEUE_STREAM", "value": "other"}]}),
        "begin with STREAMQUEUE_",
        "template.spec.containers[0].env[0].name",
    ),
    _spec(
        "template.spec.initContainers",
        [{"name": "wait", "image": "x", "env": [{"name": "STREAMQUEUE_GROUP", "value": "other"}]}],
        "begin with STREAMQUEUE_",
        "template.spec.initContainers[0].env[0].name",
    ),
    _spec("template.spec.volumes", [{"emptyDir": {}}], "name: Required", "template.spec.volumes[0].name"),
    _spec("template.metadata.labels", {"streamqueue.dev/queue": "other"}, "template.metadata.labels must not hold"),
    _spec("template.metadata.labels", {"app.kubernetes.io/component": "x"}, "template.metadata.labels must not hold"),
    _spec("template.metadata.labels", {"app.kubernetes.io/managed-by": "x"}, "template.metadata.labels must not hold"),
    *(
        _spec("template.metadata.annotations", {key: "true"}, "template.metadata.annotations must not hold")
        for key in (
            "streamqueue.dev/secret-hash",
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "karpenter.sh/do-not-disrupt",
            "controller.kubernetes.io/pod-deletion-cost",
        )
    ),
    # Fields that do not exist: a strict client's error names them.
    *(
        _spec(path, value, f'unknown field "spec.{path}"')
        for path, value in {
            "replicas": 3,
            "redis.tls.insecure": True,
            "handler.method": "POST",
            "delivery.backoff.factor": 3,
            "scaling.targetWait2": "30s",
            "template.resources": {},
            "template.metadata.name": "x",
        }.items()
    ),
]

# What may not change once the queue exists: the change, and what the error must hold.
IMMUTABLE: list[tuple[dict[str, Any], str]] = [
    ({"spec.stream": "other"}, "stream cannot be changed"),
    ({"spec.group": "other"}, "group cannot be changed"),
    ({"spec.startFrom": "$"}, "startFrom cannot be changed"),
]

_ACCEPTED_SPECS: list[dict[str, Any]] = [
    {"redis": {"secretRef": _SECRET_REF}},
    {"redis": {"secretRef": {"name": "0.redis-7.url", "key": "url"}}},
    *({"redis.url": url} for url in ("rediss://redis.example:6380", "redis://10.0.0.1/", "redis://[::1]:6379/15")),
    *(
        {"redis": {"url": url, "mode": mode}}
        for url, mode in (
            ("redis://redis", "standalone"),
            ("redis://redis", "cluster"),
            ("redis+sentinel://one:26379,two:26379,[::1]:26379/mymaster/0", "sentinel"),
            ("rediss+sentinel://one/mymaster", "auto"),
        )
    ),
    {"redis": {"url": "rediss://redis", "tls": {"caSecretRef": _SECRET_REF}, "auth": "entra"}},
    {"redis": {"secretRef": _SECRET_REF, "tls": {"caSecretRef": _SECRET_REF}, "auth": "entra", "mode": "sentinel"}},
    *({"stream": stream} for stream in ("ai:inference:queue", "a{b}c", "{orders}", "s" * 256, "bücher", "with space")),
    *({"startFrom": start} for start in ("0", "$", "1526919030474", "1526919030474-55")),
    {"handler.timeout": "100ms"},
    {"handler.timeout": "2m30s"},
    {"handler.timeout": "0.1s", "handler.batch": 3, "delivery.visibilityTimeout": "1s"},
    {"handler.timeout": "24h", "delivery.visibilityTimeout": "48h"},
    *(
        {"handler.timeout": "1h", "delivery.visibilityTimeout": "10s", "handler.protocol": kind}
        for kind in ("sdk", "http")
    ),
    {"delivery.visibilityTimeout": "4m"},
    {"handler.timeout": "1.002s", "handler.batch": 3, "delivery.visibilityTimeout": "6.012s"},  # equal, but for floats
    {"handler.protocol": "http"},
    {"handler.protocol": "http", "handler.port": 9090, "handler.metricsPort": 8080},
    {"handler.protocol": "sdk", "handler.metricsPort": 8080, "handler.processes": 1},
    {"handler.protocol": "sdk", "handler.processes": 4, "handler.concurrency": 4, "handler.metricsPort": 9090},
    {
        "handler.protocol": "http",
        "handler.port": 3000,
        "handler.path": "/tasks?x=%20",
        "handler.body": {"field": "a b"},
    },
    {"handler.protocol": "http", "handler.body": {"field": "image", "contentType": "image/png; a=b"}},
    {"handler.protocol": "http", "handler.timeout": "24h", "handler.concurrency": 1000},
    {
        "handler.protocol": "http",
        "template.spec": {
            "containers": [
                {"name": "handler", "lifecycle": {"postStart": {"exec": {"command": ["warm-up"]}}}, "args": ["x"]},
                {"name": "runner", "resources": {"limits": {"memory": "1Gi"}}},
                {"name": "proxy", "image": "proxy:1", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}},
            ]
        },
    },
    {"template.spec": _handler({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}})},
    {"delivery": {}},
    *({"delivery.requeue": choice} for choice in ("single-group", "all-groups")),
    {"delivery.backoff": {}},
    {"delivery.backoff": {"initial": "5m"}},
    {"delivery.backoff": {"initial": "10ms", "max": "10ms"}},
    {"results": {"ttl": "8760h"}},
    *(
        {"reclaim.schedule": schedule}
        for schedule in ("*/10 * * * *", "0,30 8-17/2 1,15 jan-MAR mon-fri", "59 23 31 12 6", "? ? ? ? ?", "05 0 * * *")
    ),
    {"handler.protocol": "sdk"},
    {"handler.protocol": "sdk", "next": {"stream": "{a}:paid"}},
    *(
        {"handler.protocol": "sdk", "next": {"stream": stream, "redis": redis}}
        for stream, redis in (
            ("orders", {"url": "redis://results:6379/0"}),
            ("orders", {"url": "redis://redis:6379/1"}),
            ("orders", {"secretRef": _SECRET_REF}),
            ("paid", {"url": "redis://redis:6379/0"}),
        )
    ),
    {
        "handler.protocol": "http",
        "redis": {"secretRef": _SECRET_REF},
        "next": {
            "stream": "orders",
            "redis": {
                "secretRef": {"name": "redis", "key": "results"},
                "tls": {"caSecretRef": _SECRET_REF},
                "auth": "entra",
                "mode": "cluster",
            },
        },
    },
    {"retention": {"policy": "acknowledged", "maxAge": "720h"}},
    {"retention": {"policy": "acknowledged", "maxLength": 1}},
    {"retention": {"policy": "acknowledged", "maxAge": "1s", "maxLength": 1}},
    {"scaling": {}},
    {"scaling": {"minReplicas": 10}},
    {"scaling": {"minReplicas": 5, "maxReplicas": 5, "replicas": 0}},
    {"scaling": {"targetBacklog": 5, "scaleDown": {"delay": "0s", "maxStep": 1}, "scaleUp": {"maxStep": 1}}},
    {"scaling.replicas": 10},
    {"template.metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}}},
    {
        "template.spec": {
            **_handler({"resources": {"limits": {"cpu": "1"}}, "env": [{"name": "MODE", "value": "fast"}]}),
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "serviceAccountName": "shop",
        }
    },
]
ACCEPTED: list[dict[str, Any]] = [
    {},
    {"metadata.name": "q" * 40},
    *({f"spec.{path}": value for path, value in change.items()} for change in _ACCEPTED_SPECS),
]
