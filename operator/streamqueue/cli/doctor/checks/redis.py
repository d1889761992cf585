"""Can Redis be used, and does it keep what it is given?"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.streams import ProblemKind

_NEXT = {
    ProblemKind.AUTH: "mend the URL in the Secret: kubectl edit secret{namespace} {secret}",
    ProblemKind.TLS: "use the name and the CA that the server's certificate was made for: --ca-file tries one here",
    ProblemKind.UNREACHABLE: "check the URL's host and port: kubectl get service,endpoints{namespace}",
    ProblemKind.TIMEOUT: "{redis_cli} SLOWLOG GET; {redis_cli} --latency",
    ProblemKind.NO_PERMISSION: "extend the user's ACL: docs/security.md, Redis users, lists what each part needs",
    ProblemKind.WRONG_TYPE: "choose another stream name, or remove that key: {redis_cli} TYPE {stream}",
}


def unreachable(facts: Facts) -> Iterator[Finding]:
    if facts.unreachable:
        yield Finding("redis", facts.unreachable, "give --redis URL to look at Redis straight")
    if facts.redis is None:
        return
    kind = facts.redis.kind
    secret = facts.spec.redis.secret_ref.name if facts.spec and facts.spec.redis.secret_ref else ""
    stream = quote(facts.spec.stream) if facts.spec else ""
    advice = _NEXT.get(kind, "{redis_cli} INFO").format(
        namespace=facts.namespace, secret=secret, stream=stream, redis_cli=facts.redis_cli
    )
    if kind is ProblemKind.AUTH and not secret:
        advice = "check user and password of the URL"
    if kind is ProblemKind.UNREACHABLE and not facts.cluster:
        advice = f"check the URL's host and port: {facts.redis_cli} PING"
    elsewhere = facts.condition("RedisReachable").get("status") == "True"
    note = " (the operator reaches it: the trouble is on the way from here)" if elsewhere else ""
    yield Finding(f"redis-{kind}", facts.redis.message + note, advice, warning=elsewhere)


def eviction(facts: Facts) -> Iterator[Finding]:
    if facts.stream and facts.stream.server.evicts:
        policy = facts.stream.server.eviction_policy
        cause = f"Redis evicts keys when its memory is full (maxmemory-policy {policy}): tasks and marks can vanish"
        yield Finding("eviction", cause, f"{facts.redis_cli} CONFIG SET maxmemory-policy noeviction", warning=True)


def persistence(facts: Facts) -> Iterator[Finding]:
    if facts.stream and facts.stream.server.persistent is False:
        cause = "Redis keeps nothing on disk: a restart of Redis loses every task"
        advice = f"give it a volume, and: {facts.redis_cli} CONFIG SET appendonly yes"
        yield Finding("persistence", cause, advice, warning=True)
