"""Can the workers run?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamqueue.api.spec import Protocol
from streamqueue.api.template import HANDLER
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods import states as workers
from streamqueue.scaling.memory import LEAST_PATIENCE

_LISTEN = "let it listen on port {} of every address (0.0.0.0), not of 127.0.0.1 alone"
_NOT_ROOT = "give the image a USER by number, or set spec.template.spec.securityContext.runAsNonRoot: false"


def image(facts: Facts) -> Iterator[Finding]:
    for pod, message in _failing(facts, "ImagePull"):
        cause = f"image {_unpulled(pod)} can't be pulled: {message or 'the kubelet gives no reason'}"
        yield Finding("image-pull", cause, f"kubectl describe pod{facts.namespace} {pod['metadata']['name']}")
        return


def crash_loop(facts: Facts) -> Iterator[Finding]:
    for word, option in (("CrashLoop", "--previous "), ("ContainerConfig", "")):
        for pod, message in _failing(facts, word):
            name, ended = pod["metadata"]["name"], _ended_most(pod)
            which = "the handler" if ended.get("name", HANDLER) == HANDLER else f"container {ended['name']}"
            what = f"{which} crashes again and again" if word == "CrashLoop" else "the container can't be created"
            verb = f"logs {option}{name}{_of_container(pod, ended)}" if option else f"describe pod {name}"
            root = "non-root" in message or "runAsNonRoot" in message
            yield Finding(
                "crash-loop" if option else "container-config",
                f"{what}: {_last_exit(ended) or message}",
                _NOT_ROOT if root else f"kubectl {verb}{facts.namespace}",
            )
            break


def unschedulable(facts: Facts) -> Iterator[Finding]:
    words = [said for pod in facts.pods if (said := workers.unschedulable(pod))]
    if words:
        cause = f"{len(words)} pod(s) find no node: {words[0]}"
        advice = "lower template.spec.containers[].resources, add nodes, or lower scaling.maxReplicas"
        yield Finding("unschedulable", cause, f"{advice}; kubectl get nodes")


def never_ready(facts: Facts) -> Iterator[Finding]:
    for pod in _current(facts):
        found = workers.unready(pod, facts.now, LEAST_PATIENCE)
        if found and not workers.crash_loop(pod, facts.now):
            name, waits = pod["metadata"]["name"], found[1]
            listens = facts.spec and facts.spec.handler.protocol is Protocol.HTTP and "startup" in waits
            hint = f"{_LISTEN.format(facts.spec.handler.port)}; " if facts.spec and listens else ""
            yield Finding("never-ready", f"pod {name}: {waits}", f"{hint}kubectl describe pod{facts.namespace} {name}")
            return


def lost(facts: Facts) -> Iterator[Finding]:
    gone = [pod for pod in facts.pods if workers.is_lost(pod, facts.now) and not workers.is_over(pod)]
    if gone:
        metadata, node = gone[0]["metadata"], gone[0]["spec"].get("nodeName", "")
        cause = (
            f"{len(gone)} pod(s) were told to go and are there long after their grace, as {metadata['name']}: node "
            f"{node} hasn't ended them; others work in their stead"
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


def _failing(facts: Facts, word: str) -> Iterator[tuple[Body, str]]:
    for pod in _current(facts):
        failure = workers.crash_loop(pod, facts.now)
        if failure and failure[0] == word:
            yield pod, failure[1]


def _current(facts: Facts) -> Iterator[Body]:
    """Without pods of an older release, which the rollout replaces."""
    return (pod for pod in facts.pods if not facts.spec or facts.spec.handler.image in _images(pod))


def _images(pod: Body) -> list[str]:
    """Images that the pod asks for."""
    spec = pod["spec"]
    return [each["image"] for each in (*spec.get("initContainers", []), *spec["containers"])]


def _unpulled(pod: Body) -> str:
    """The image that a container of the pod waits for."""
    return str(next(each["image"] for each in workers.containers(pod) if workers.failed(each) == "ImagePull"))


def _ended_most(pod: Body) -> Body:
    """Status of the container that was restarted most often; empty where none was."""
    ended = [status for status in workers.containers(pod) if "terminated" in status.get("lastState", {})]
    return max(ended, key=lambda status: int(status.get("restartCount", 0)), default={})


def _last_exit(status: Body) -> str:
    if not status:
        return ""
    ended, times = status["lastState"]["terminated"], status.get("restartCount", 0)
    return f"{times} restart(s), last exit code {ended.get('exitCode')} ({ended.get('reason', 'Error')})"


def _of_container(pod: Body, status: Body) -> str:
    """As an option for `kubectl logs`, which by itself means the first of several."""
    return f" -c {status['name']}" if status and len(workers.containers(pod)) > 1 else ""
