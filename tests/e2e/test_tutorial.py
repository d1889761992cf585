"""The worker loop that people bring from the tutorials, as `examples/tutorial` has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.e2e.world import World

pytestmark = pytest.mark.concurrent(long=True)

MANIFEST = Path(__file__).parents[2] / "examples/tutorial/queue.yaml"


def test_the_tutorials_loop_is_scaled_and_loses_nothing_with_a_killed_pod(world: World) -> None:
    manifest = yaml.safe_load(MANIFEST.read_text())
    queue = world.queue(manifest["metadata"]["name"])
    queue.spec, queue.stream = manifest["spec"], manifest["spec"]["stream"]
    queue.apply()
    queue.await_condition("Ready", "True")
    jobs = {f"job-{n}" for n in range(60)}
    for job in sorted(jobs):
        queue.client.xadd(queue.stream, {"job": job, "prompt": job, "seconds": "1"})
    pods = queue.await_ready_pods(3)
    queue.await_condition("ConsumersShared", "True")
    [consumer] = queue.client.xinfo_consumers(queue.stream, "workers")
    assert consumer["name"] == "worker-1"

    world.kubectl("delete", "pod", pods[0]["metadata"]["name"], "--grace-period=0", "--force")

    def done() -> bool:
        return set(queue.client.hkeys("ai:inference:results")) == jobs and queue.pending() == 0

    world.view.eventually(done, 300, "every job has its result, and none is pending")
    world.view.eventually(lambda: queue.replicas == 0, 60, "the count is back at zero")
    assert queue.peak() == 3
