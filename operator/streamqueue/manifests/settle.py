"""When a pod template may move: never because the operator did. Pure."""

from __future__ import annotations

from streamqueue.manifests.fingerprints import Body, Fingerprints
from streamqueue.manifests.labels import GENERATION_ANNOTATION, TEMPLATE_VERSION_ANNOTATION


def settle_template(
    desired: Body, live: Body, *, refused: bool, secrets: Fingerprints | None, edited: bool = False
) -> Body:
    """`desired`, or `desired` with the live Deployment's template.

    The template stays where the API server refused the new one, and where only the operator's own derivation changed
    while pods run: upgrading the operator restarts no fleet. One that was `edited` by hand, which rolled the pods, is
    nothing to keep. A changed Redis Secret still rolls the pods, by the annotation that the live template has: whether
    its pods read a variable or a file is that template's to say.
    """
    ours, theirs = desired["metadata"]["annotations"], live["metadata"].get("annotations", {})
    derivation_only = (
        theirs.get(GENERATION_ANNOTATION) == ours[GENERATION_ANNOTATION]
        and theirs.get(TEMPLATE_VERSION_ANNOTATION) != ours[TEMPLATE_VERSION_ANNOTATION]
        and not edited
        and (live["spec"].get("replicas") or live.get("status", {}).get("replicas"))
    )
    if not (refused or derivation_only):
        return desired
    kept = {name: theirs[name] for name in (GENERATION_ANNOTATION, TEMPLATE_VERSION_ANNOTATION) if name in theirs}
    template = _with_secrets(live["spec"]["template"], secrets)
    return desired | {
        "metadata": desired["metadata"] | {"annotations": ours | kept},
        "spec": desired["spec"] | {"template": template},
    }


def _with_secrets(template: Body, secrets: Fingerprints | None) -> Body:
    annotations = template["metadata"].get("annotations", {})
    if secrets is None:
        return template
    return template | {"metadata": template["metadata"] | {"annotations": secrets.renewed(annotations)}}
