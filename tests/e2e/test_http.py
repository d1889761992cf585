"""`protocol: http`: the examples in three languages, through refusals, pressure, a killed handler and a drain."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamqueue.api.keys import Keys
from tests.cluster.settings import NODE_CONTAINER
from tests.e2e.queue import Queue
from tests.e2e.world import World
from tests.kube.view import Body

EXAMPLES = Path(__file__).parents[2] / "examples/http"
# Where a container's processes are, as the node sees them.
KILL = "for each in /proc/[0-9]*; do grep -qs {0} $each/cgroup && kill -9 ${{each#/proc/}}; done; true"


class Tasks:
    """A queue of one of the examples, on the Redis of the tests."""

    def __init__(self, world: World, example: str) -> None:
        manifest = yaml.safe_load((EXAMPLES / example / "queue.yaml").read_text())
        spec = manifest["spec"]
        del spec["redis"]
        spec["scaling"] = {"maxReplicas": 1, "minReplicas": 1}
        self.queue: Queue = world.queue(f"http-{example.partition('-')[0]}", **spec).apply()
        self._keys = Keys(self.queue.stream, self.queue.group)
        self._kubectl = world.kubectl
        self._view = world.view

    def add(self, amount: int, seconds: float = 0) -> str:
        return str(self.queue.client.xadd(self.queue.stream, {"amount": str(amount), "seconds": str(seconds)}))

    def state(self, task: str) -> dict[str, str]:
        return dict(self.queue.client.hgetall(f"{self._keys.results}{task}"))

    def result(self, task: str) -> dict[str, Any]:
        """What the handler answered, once it did."""
        self._view.eventually(lambda: self.state(task).get("state") == "done", 60, f"{self.queue.name}: {task}")
        return dict(json.loads(self.state(task)["result"]))

    def pod(self) -> Body:
        return self.queue.await_ready_pods(1)[0]

    def begun(self, task: str) -> Body:
        """The pod whose handler says that it works on the task."""
        words = f"working on {task}"

        def found() -> Body | None:
            for pod in self.queue.ready_pods():
                name = pod["metadata"]["name"]
                if words in self._kubectl("logs", name, "--container=handler", check=False).stdout:
                    return pod
            return None

        return self._view.eventually(found, 60, f"{self.queue.name}: {words}") or {}


@pytest.mark.concurrent(long=True)
@pytest.mark.parametrize("example", ["python-fastapi", "node", "go"])
def test_a_handler_in_any_language(world: World, example: str) -> None:
    tasks = Tasks(world, example)
    _answers(tasks)
    _pressure(tasks)
    _killed(tasks)
    _drained(tasks)
    assert not tasks.queue.condition("DrainsOnSIGTERM")


def _answers(tasks: Tasks) -> None:
    """As many results as tasks, but for the one that is refused."""
    good = {tasks.add(amount): amount for amount in range(1, 11)}
    bad = tasks.add(0)
    for task, amount in good.items():
        assert tasks.result(task)["total"] == 3 * amount
    tasks.queue.view.eventually(tasks.queue.dead_letters, 30, f"{tasks.queue.name}: the dead letter")
    (letter,) = tasks.queue.dead_letters()
    assert (letter["sq-id"], letter["sq-reason"]) == (bad, "handler")
    assert letter["sq-cause"].startswith("HTTP 422: ") and "amount" in letter["sq-cause"]


def _pressure(tasks: Tasks) -> None:
    """The runner posts two at once, the handler does one: the other is answered with 503, which costs nothing."""
    pair = [tasks.add(1, seconds=1.5), tasks.add(2, seconds=1.5)]
    assert [tasks.result(task)["attempt"] for task in pair] == [1, 1]
    assert any("HTTP 503" in tasks.state(task).get("error", "") for task in pair)


def _killed(tasks: Tasks) -> None:
    """The handler's process dies with a task in its hands: the same pod tries again."""
    task = tasks.add(3, seconds=8)
    pod = tasks.begun(task)
    (handler,) = pod["status"]["initContainerStatuses"]
    container = handler["containerID"].rpartition("/")[2]
    subprocess.run(["docker", "exec", NODE_CONTAINER, "sh", "-c", KILL.format(container)], check=True, timeout=30)
    assert tasks.result(task)["attempt"] == 2
    assert tasks.state(task)["consumer"].startswith(pod["metadata"]["name"])
    # The second while the container is on its way back: that counts as no attempt.
    assert re.search("broke the connection|does not accept connections", tasks.state(task)["error"])


def _drained(tasks: Tasks) -> None:
    """A pod that is told to go ends what it has begun: its handler answers for as long as the runner needs it."""
    task = tasks.add(4, seconds=8)
    pod = tasks.begun(task)["metadata"]["name"]
    tasks.queue.kubectl("delete", "pod", pod, "--wait=false")
    tasks.queue.view.eventually(lambda: _is_told(tasks, pod), 8, f"{pod} is told to go")
    assert tasks.result(task)["attempt"] == 1
    assert tasks.state(task)["consumer"].startswith(pod)
    later = tasks.add(5)
    assert tasks.result(later)["total"] == 15
    assert not tasks.state(later)["consumer"].startswith(pod)


def _is_told(tasks: Tasks, pod: str) -> bool:
    """Whether the kubelet has begun to stop the pod's containers."""
    events = tasks.queue.view.all("events", {})
    return any((each["involvedObject"]["name"], each["reason"]) == (pod, "Killing") for each in events)
