"""What of a ScaledObject no StreamQueue has: a sentence each, and the names of all that nothing is known of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streamqueue.cli.keda.objects import Document, block, items
from streamqueue.cli.keda.trigger import TYPE

PAUSED, PAUSED_AT = "autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"

# None: translated, or looked into below, or of no effect.
_ANNOTATIONS: dict[str, str | None] = {
    PAUSED: None,
    PAUSED_AT: None,
    "autoscaling.keda.sh/paused-scale-in": "scaling.minReplicas keeps workers",
    "autoscaling.keda.sh/paused-scale-out": "scaling.maxReplicas bounds their number",
}
_SPEC: dict[str, str | None] = {
    "scaleTargetRef": None,
    "triggers": None,
    "minReplicaCount": None,
    "maxReplicaCount": None,
    "cooldownPeriod": None,
    "pollingInterval": "looks are cheap, one each second",
    "initialCooldownPeriod": "a new queue without work begins with minReplicas workers",
    "idleReplicaCount": "without work there are minReplicas workers",
    "fallback": "while Redis can't be read, the count stays as it is",
    "advanced": None,
}
_ADVANCED: dict[str, str | None] = {
    "horizontalPodAutoscalerConfig": None,
    "restoreToOriginalReplicaCount": "the workers of a StreamQueue go with it",
    "scalingModifiers": "targetBacklog is ceil((waiting + pending) / target)",
}
_HPA: dict[str, str | None] = {"behavior": "there is no HPA; see scaling.scaleUp.maxStep, scaleDown.maxStep and delay"}
_TARGET: dict[str, str | None] = dict.fromkeys(("name", "kind", "apiVersion", "envSourceContainerName"))
_TRIGGER: dict[str, str | None] = {
    "type": None,
    "name": None,  # what scalingModifiers call it
    "metadata": None,
    "authenticationRef": None,
    "metricType": "Value compared all tasks with the target, and targetBacklog is for each worker: set it anew",
    "useCachedMetrics": "one look each second serves all",
}
_METADATA: dict[str, str | None] = {
    **dict.fromkeys(("stream", "consumerGroup", "lagCount", "pendingEntriesCount", "streamLength")),
    **dict.fromkeys(("address", "host", "port", "addressFromEnv", "hostFromEnv", "portFromEnv", "databaseIndex")),
    **dict.fromkeys(("username", "password", "usernameFromEnv", "passwordFromEnv", "enableTLS", "unsafeSsl")),
    "activationLagCount": "the first task wakes the queue",
}
_DEFAULTS = {"metricType": "AverageValue", "activationLagCount": "0", "initialCooldownPeriod": "0"}


def leftovers(scaled: Document) -> list[str]:
    """A sentence for each."""
    said, unknown = dict[str, None](), dict[str, None]()  # once each, in order
    for given, known, where in _blocks(scaled):
        for name, value in given.items():
            if _says_nothing(name, value):
                continue
            reason = known.get(name, "")
            if reason:
                said[f"{name.rpartition('/')[2]} left out: {reason}"] = None
            elif reason is not None:
                unknown[f"{where}{name}"] = None
    if unknown:
        said[f"left out, since a StreamQueue has nothing like it: {', '.join(unknown)}"] = None
    return list(said)


def _blocks(scaled: Document) -> Iterator[tuple[Mapping[str, Any], Mapping[str, str | None], str]]:
    """Each block, what is known of its fields, and what their names are to begin with."""
    annotations = block(scaled, "metadata", "annotations")
    ours = {name: value for name, value in annotations.items() if str(name).partition("/")[0].endswith("keda.sh")}
    yield ours, _ANNOTATIONS, ""
    spec = block(scaled, "spec")
    yield spec, _SPEC, ""
    yield block(spec, "scaleTargetRef"), _TARGET, "scaleTargetRef."
    yield block(spec, "advanced"), _ADVANCED, "advanced."
    hpa = "horizontalPodAutoscalerConfig"
    yield block(spec, "advanced", hpa), _HPA, f"advanced.{hpa}."
    for trigger in items(spec, "triggers"):
        if trigger.get("type") == TYPE:
            yield trigger, _TRIGGER, "triggers."
            yield block(trigger, "metadata"), _METADATA, "triggers.metadata."


def _says_nothing(name: str, value: object) -> bool:
    return value is False or value in (None, "", {}, []) or str(value) == _DEFAULTS.get(name)
