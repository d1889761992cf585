"""A ScaledObject as a StreamQueue, and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamqueue.api.durations import format_duration, parse_duration
from streamqueue.api.errors import SpecError
from streamqueue.api.parse import check_name, parse_spec
from streamqueue.api.spec import Delivery
from streamqueue.cli.keda.leftovers import PAUSED, PAUSED_AT, leftovers
from streamqueue.cli.keda.objects import CannotImport, Document, block, find, number, switched_off, the_scaled_object
from streamqueue.cli.keda.trigger import Trigger, read_triggers
from streamqueue.cli.keda.workload import Workload
from streamqueue.manifests.grace import GRACE_SECONDS
from streamqueue.manifests.labels import API_VERSION, KIND

DEFAULT_MAX = 100  # KEDA's maxReplicaCount
DEFAULT_COOLDOWN = 300  # KEDA's cooldownPeriod, seconds
LONGEST_DELAY = 3600.0  # seconds of scaling.scaleDown.delay

_WHAT = {
    "lagCount": "lagCount counted waiting tasks alone",
    "pendingEntriesCount": "pendingEntriesCount counted tasks in workers' hands alone, so that it never left zero",
    "streamLength": "streamLength counted entries that were done, too, unless the workers delete them",
}


@dataclass(frozen=True, slots=True)
class Translation:
    """`body` is the StreamQueue; each note is a sentence."""

    body: dict[str, Any]
    notes: list[str]


def translate(documents: Sequence[Document], image: str | None, group: str | None, chosen: str | None) -> Translation:
    """`image`, `group` and the `chosen` name win over what the files say. Raises CannotImport, and SpecError where a
    value is refused.
    """
    scaled = the_scaled_object(documents)
    spec, notes = block(scaled, "spec"), list[str]()
    name, workload = _workload(spec, documents)
    trigger, others = read_triggers(scaled, documents, workload)
    if trigger.group is None and group is None:
        raise CannotImport("the trigger has no consumerGroup, and a StreamQueue reads by one: give --group NAME")
    if workload is None and image is None:
        raise CannotImport(f"give the Deployment {name!r} too (-f deployment.yaml), or --image IMAGE")
    metadata, where = {"name": _checked(name if chosen is None else chosen)}, ""
    if isinstance(namespace := block(scaled, "metadata").get("namespace"), str):
        metadata["namespace"], where = namespace, f" -n {namespace}"
    made: dict[str, Any] = {
        "redis": _redis(trigger, metadata["name"], where, notes) | _tls(trigger, notes),
        "stream": trigger.stream,
        "group": group or trigger.group,
        "handler": _handler(workload, image, notes),
        "scaling": _scaling(spec, block(scaled, "metadata", "annotations"), trigger, notes),
    }
    if workload and (template := workload.template()):
        made["template"] = template
    notes += leftovers(scaled)
    if others:
        notes.append(f"left out: triggers of type {', '.join(others)}")
    if needed := _visibility(made["handler"]):
        made["delivery"] = {"visibilityTimeout": needed}
    parse_spec(made)
    notes.append(_change_over(f"scaledobject/{block(scaled, 'metadata').get('name')}", name, metadata["name"], where))
    return Translation({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": made}, notes)


def _change_over(scaled: str, deployment: str, queue: str, where: str) -> str:
    """The steps, as docs/migrate.md has them; `where` is the option that names the namespace."""
    if queue == deployment:
        both = "with a name of its own (--name) it can first run beside them"
        return f"to change over: kubectl delete {scaled} deployment/{deployment}{where}, then apply this; {both}"
    stop = f"kubectl delete {scaled}{where}, kubectl scale deployment/{deployment} --replicas 0{where}"
    return f"to change over: apply this with scaling.paused: true, streamqueue resume {queue}{where}, {stop}"


def _checked(name: str) -> str:
    try:
        check_name(name)
    except SpecError as error:
        raise CannotImport(f"{error}: give --name NAME") from None
    return name


def _workload(spec: Mapping[str, Any], documents: Sequence[Document]) -> tuple[str, Workload | None]:
    target = block(spec, "scaleTargetRef")
    kind, name = str(target.get("kind", "Deployment")), target.get("name")
    if not isinstance(name, str):
        raise CannotImport("spec.scaleTargetRef has no name")
    if kind != "Deployment":
        raise CannotImport(f"it scales a {kind}; a StreamQueue's workers are a Deployment")
    deployment, container = find(documents, "Deployment", name), target.get("envSourceContainerName")
    return name, Workload(deployment, str(container) if container else None) if deployment else None


def _redis(trigger: Trigger, name: str, namespace: str, notes: list[str]) -> dict[str, Any]:
    scheme = "rediss" if trigger.tls else "redis"
    if trigger.address and not trigger.has_password:
        return {"url": f"{scheme}://{trigger.address}/{trigger.database}"}
    where = trigger.address or "HOST:6379"
    secret = f"{name}-redis"
    source = f" (the parts are in {', '.join(trigger.secrets)})" if trigger.secrets else ""
    notes.append(
        f"one Secret holds the whole URL{source}: kubectl create secret generic {secret}{namespace} "
        f"--from-literal=url='{scheme}://USER:PASSWORD@{where}/{trigger.database}'"
    )
    return {"secretRef": {"name": secret, "key": "url"}}


def _tls(trigger: Trigger, notes: list[str]) -> dict[str, Any]:
    if trigger.unsafe:
        notes.append("unsafeSsl is left out: certificates are verified; name a private CA in redis.tls.caSecretRef")
    if trigger.has_certificate:
        notes.append("cert and key are left out: a StreamQueue logs in by user and password, or by tokens")
    if not (trigger.tls and trigger.ca):
        return {}
    name, slash, key = trigger.ca.partition("/")
    if not slash:
        notes.append(f"put the CA ({trigger.ca}) into a Secret, and name it in redis.tls.caSecretRef")
        return {}
    return {"tls": {"caSecretRef": {"name": name, "key": key}}}


def _handler(workload: Workload | None, image: str | None, notes: list[str]) -> dict[str, Any]:
    handler: dict[str, Any] = {"image": image or (workload.image if workload else "")}
    grace = workload.grace if workload else None
    if grace is not None and grace > GRACE_SECONDS:
        handler["timeout"] = format_duration(float(grace - GRACE_SECONDS))
        notes.append(
            f"handler.timeout follows from terminationGracePeriodSeconds {grace}: the longest that a task takes"
        )
    else:
        notes.append("handler.timeout is 2m by default: set the longest that a task takes")
    notes.append("the loop must name its consumer $STREAMQUEUE_CONSUMER, or busy workers can't be told from idle ones")
    return handler


def _visibility(handler: Mapping[str, Any]) -> str | None:
    """What the rule of 2 x timeout asks for, where that is more than the default."""
    needed = 2 * parse_duration(handler["timeout"]) if "timeout" in handler else 0.0
    return format_duration(needed) if needed > Delivery().visibility_timeout else None


def _scaling(
    spec: Mapping[str, Any], annotations: Mapping[str, Any], trigger: Trigger, notes: list[str]
) -> dict[str, Any]:
    least = number(spec.get("minReplicaCount", 0), "minReplicaCount")
    cooldown = number(spec.get("cooldownPeriod", DEFAULT_COOLDOWN), "cooldownPeriod")
    if cooldown > LONGEST_DELAY:
        notes.append(
            f"cooldownPeriod {cooldown} is cut to {format_duration(LONGEST_DELAY)}, the longest scaleDown.delay"
        )
    counted = next(name for name in _WHAT if name in trigger.counts)
    scaling: dict[str, Any] = {
        "minReplicas": least,
        "maxReplicas": number(spec.get("maxReplicaCount", DEFAULT_MAX), "maxReplicaCount", 1),
        "targetBacklog": trigger.counts[counted],
        "scaleDown": {"delay": format_duration(min(float(cooldown), LONGEST_DELAY))},
    }
    notes.append(f"{_WHAT[counted]}; targetBacklog counts waiting tasks and those in work together")
    notes.append("instead of targetBacklog, targetWait: 30s promises how long a task waits, at the least pod-time")
    if len(trigger.counts) > 1:
        notes.append(f"of several targets ({', '.join(trigger.counts)}) {counted} was taken")
    if PAUSED in annotations and not switched_off(annotations[PAUSED]):  # so KEDA takes what is no switch
        scaling["paused"] = True
    if PAUSED_AT in annotations:
        scaling["replicas"] = number(annotations[PAUSED_AT], PAUSED_AT)
    return scaling
