"""Can the workers run?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamqueue.api.spec import Protocol
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods import states as workers
from streamqueue.controller.pods.faults import READINESS, Fault, fault
from streamqueue.scaling.memory import LEAST_PATIENCE

_FULL = "lower template.spec.containers[].resources, add nodes, or lower scaling.maxReplicas"
_UNFIT = "mend what template.spec asks for (affinity, nodeSelector, tolerations, volumes), or add nodes that have it"
_LISTEN = "let it listen on port {} of every address (0.0.0.0), not of 127.0.0.1 alone"
_NOT_ROOT = "give the image a USER by number, or set spec.template.spec.securityContext.runAsNonRoot: false"


def image(facts: Facts) -> Iterator[Finding]:
    for pod, why in _first(facts, "ImagePull"):
        cause = f"image {_of(pod, why)['image']} can't be pulled: {why.sentence}"
        yield Finding("image-pull", cause, f"kubectl describe pod{facts.namespace} {pod['metadata']['name']}")


def crash_loop(facts: Facts) -> Iterator[Finding]:
    for pod, why in _first(facts, "CrashLoop"):
        name = pod["metadata"]["name"]
        container = f" -c {why.container}" if len(workers.containers(pod)) > 1 else ""
        look = f"kubectl logs --previous {name}{container}{facts.namespace}"
        yield Finding("crash-loop", f"pod {name}: {why.sentence}", look)


def container_config(facts: Facts) -> Iterator[Finding]:
    for pod, why in _first(facts, "ContainerConfig"):
        name = pod["metadata"]["name"]
        root = "non-root" in why.sentence or "runAsNonRoot" in why.sentence
        look = f"kubectl describe pod {name}{facts.namespace}"
        cause = f"pod {name}: container {why.container} can't be created: {why.sentence}"
        yield Finding("container-config", cause, _NOT_ROOT if root else look)


def unschedulable(facts: Facts) -> Iterator[Finding]:
    words = [said for pod in facts.pods if (said := workers.unschedulable(pod))]
    if words:
        cause = f"{len(words)} pod(s) find no node: {words[0]}"
        full = any("Insufficient" in each for each in words)
        yield Finding("unschedulable", cause, f"{_FULL if full else _UNFIT}; kubectl get nodes{facts.context_option}")


def never_ready(facts: Facts) -> Iterator[Finding]:
    for pod, why in _first(facts, "NotReady", READINESS):
        name, hint = pod["metadata"]["name"], ""
        if facts.spec and facts.spec.handler.protocol is Protocol.HTTP and "startup" in why.sentence:
            hint = f"{_LISTEN.format(facts.spec.handler.port)}; "
        look = f"kubectl describe pod{facts.namespace} {name}"
        yield Finding("never-ready", f"pod {name}: {why.sentence}", f"{hint}{look}")


def lost(facts: Facts) -> Iterator[Finding]:
    gone = [pod for pod in facts.pods if workers.is_lost(pod, facts.now) and not workers.is_over(pod)]
    if gone:
        metadata, node = gone[0]["metadata"], gone[0]["spec"].get("nodeName", "")
        cause = (
            f"{len(gone)} pod(s), as {metadata['name']}, were told to go and are still there: node {node} doesn't "
            "answer, or hasn't ended them long after their grace; others work in their stead"
        )
        yield Finding("lost-pods", cause, f"kubectl get node{facts.context_option} {node}", warning=True)


def second_budget(facts: Facts) -> Iterator[Finding]:
    """The eviction API refuses a pod that two of them select."""
    for budget in facts.cluster.budgets if facts.cluster else ():
        selector = budget["spec"].get("selector")
        if selector is not None and any(_selects(selector, pod["metadata"].get("labels", {})) for pod in facts.pods):
            name = budget["metadata"]["name"]
            cause = (
                f"PodDisruptionBudget {name} selects pods that have the queue's own: nothing can evict them, and a "
                "drain of their node waits for ever"
            )
            yield Finding("second-budget", cause, f"kubectl delete pdb{facts.namespace} {name}")


def _selects(selector: Body, labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_meets(each, labels.get(each["key"])) for each in selector.get("matchExpressions", []))


def _meets(expression: Body, value: str | None) -> bool:
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case _:
            return value is None


def _first(facts: Facts, *words: str) -> Iterator[tuple[Body, Fault]]:
    """The first pod with such a fault, if there is one: of the others there'd be the same to say."""
    for pod in facts.pods:
        if facts.spec and facts.spec.handler.image not in _images(pod):
            continue  # an older release, which the rollout replaces
        found = fault(pod, facts.now, LEAST_PATIENCE)
        if found and found.word in words:
            yield pod, found
            return


def _images(pod: Body) -> list[str]:
    """Images that the pod asks for."""
    spec = pod["spec"]
    return [each["image"] for each in (*spec.get("initContainers", []), *spec["containers"])]


def _of(pod: Body, fault: Fault) -> Body:
    """Status of the container that the fault is about."""
    return next(each for each in workers.containers(pod) if each["name"] == fault.container)
