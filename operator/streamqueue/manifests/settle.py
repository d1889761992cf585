"""When a pod template may move: never because the operator did. Pure."""

from __future__ import annotations

from typing import Any

from streamqueue.manifests.labels import (
    GENERATION_ANNOTATION,
    SECRET_HASH_ANNOTATION,
    TEMPLATE_VERSION_ANNOTATION,
)

Body = dict[str, Any]


def settle_template(desired: Body, live: Body, *, refused: bool) -> Body:
    """`desired`, or `desired` with the live Deployment's template.

    The template stays where the API server refused the new one, and where only the operator's own derivation changed
    while pods run: upgrading the operator restarts no fleet. A changed Redis Secret still rolls the pods.
    """
    ours, theirs = desired["metadata"]["annotations"], live["metadata"].get("annotations", {})
    derivation_only = (
        theirs.get(GENERATION_ANNOTATION) == ours[GENERATION_ANNOTATION]
        and theirs.get(TEMPLATE_VERSION_ANNOTATION) != ours[TEMPLATE_VERSION_ANNOTATION]
        and (live["spec"].get("replicas") or live.get("status", {}).get("replicas"))
    )
    if not (refused or derivation_only):
        return desired
    kept = {name: theirs[name] for name in (GENERATION_ANNOTATION, TEMPLATE_VERSION_ANNOTATION) if name in theirs}
    template = _with_secret(live["spec"]["template"], desired["spec"]["template"])
    return desired | {
        "metadata": desired["metadata"] | {"annotations": ours | kept},
        "spec": desired["spec"] | {"template": template},
    }


def live_secret_hash(live: Body) -> str | None:
    """What the running pods were started with."""
    annotations = live["spec"]["template"]["metadata"].get("annotations", {})
    value: str | None = annotations.get(SECRET_HASH_ANNOTATION)
    return value


def _with_secret(template: Body, desired: Body) -> Body:
    value = desired["metadata"]["annotations"].get(SECRET_HASH_ANNOTATION)
    if value is None:
        return template
    annotations = template["metadata"].get("annotations", {}) | {SECRET_HASH_ANNOTATION: value}
    return template | {"metadata": template["metadata"] | {"annotations": annotations}}
