"""Can the workers run?"""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods import states as workers

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
            what = "the handler crashes again and again" if word == "CrashLoop" else "the container can't be created"
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


def _failing(facts: Facts, word: str) -> Iterator[tuple[Body, str]]:
    for pod in facts.pods:
        if facts.spec and facts.spec.handler.image not in _images(pod):
            continue  # an older release, which the rollout replaces
        failure = workers.crash_loop(pod, facts.now)
        if failure and failure[0] == word:
            yield pod, failure[1]


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
