"""`delivery.requeue: all-groups`: copies are made by every way of making one, though other groups get them too.

Without it none is: `test_reclaim`, `test_dead_letters` and `cli/test_work` have that.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec, Requeue
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.recovery import Recovery
from streamqueue.maintenance import abandoned, redrive, release, replay
from streamqueue.manifests import OperatorImage, ReclaimPods, cron_job
from streamqueue.manifests.labels import Owner
from tests.redis.controller.test_recovery import gone
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.test_command import SPEC, run

OTHERS = "audit"
COPIED = spec(requeue=Requeue.ALL_GROUPS)


@pytest.fixture
async def queue(redis: Redis) -> Queue:
    """Two tasks, both read by the workers and by another group."""
    queue = Queue(redis)
    await queue.create()
    await redis.xgroup_create(queue.stream, OTHERS, "0")
    await queue.add(2)
    await queue.read("pod-1")
    assert len(await queue.read("a", group=OTHERS)) == 2
    return queue


async def seen_by_all(queue: Queue, tasks: list[str]) -> None:
    """Workers and the other group are handed a copy of each of these tasks, under its id."""
    for group in (queue.group, OTHERS):
        assert sorted(fields["sq-id"] for _, fields in await queue.read("b", group=group)) == sorted(tasks)


async def test_what_idled_comes_back(queue: Queue) -> None:
    tasks = await queue.pending()
    report = await queue.swept(COPIED)
    assert (report.returned, report.requeue_needs_worker) == (2, 0)
    assert await queue.pending() == []
    await seen_by_all(queue, tasks)


async def test_what_a_dead_worker_held_comes_back(queue: Queue) -> None:
    tasks = await queue.pending()
    assert (await release(queue.redis, COPIED, "pod-1", math.inf, "Error")).returned == 2
    await seen_by_all(queue, tasks)


async def test_what_a_loop_left_behind_comes_back(queue: Queue) -> None:
    tasks = await queue.pending()
    await queue.age(5)
    await queue.add()
    assert len(await queue.read("pod-1")) == len(await queue.read("a", group=OTHERS)) == 1
    assert (await abandoned(queue.redis, COPIED, "pod-1")).returned == 2
    await seen_by_all(queue, tasks)


async def test_dead_letters_are_redriven_into_the_stream(queue: Queue) -> None:
    tasks = await queue.pending()
    once = spec(max_deliveries=1)
    assert (await release(queue.redis, once, "pod-1", math.inf, "Error")).dead_lettered == 2
    assert await redrive(queue.redis, COPIED, await queue.letters()) == 2
    await seen_by_all(queue, tasks)


async def test_entries_are_replayed_into_the_stream(queue: Queue) -> None:
    first, last = await queue.pending()
    assert [step.copied async for step in replay(queue.redis, COPIED, first, last)] == [2]
    for group in (queue.group, OTHERS):
        assert [fields["sq-replay-of"] for _, fields in await queue.read("b", group=group)] == [first, last]


async def test_a_task_that_goes_on_failing_ends(queue: Queue) -> None:
    for _ in range(COPIED.delivery.max_deliveries):
        await release(queue.redis, COPIED, "pod-1", math.inf, "Error")
        await queue.read("pod-1")
    assert len(await queue.dead()) == 2
    assert await queue.pending() == []


def written(requeue: str) -> tuple[QueueSpec, dict[str, str]]:
    """What the operator makes of a manifest: the spec that its rounds use, and the reclaim job's environment."""
    manifest: dict[str, Any] = {**SPEC, "delivery": {**SPEC["delivery"], "requeue": requeue}}
    parsed = parse_spec(manifest)
    owner = Owner("orders", "shop", "u1", 1)
    image = OperatorImage("operator", "Never")
    job = cron_job(owner, parsed, image=image, pods=ReclaimPods(), suspended=False)
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return parsed, {each["name"]: each["value"].replace("$$", "$") for each in container["env"]}


# A process of ours, and what its scripts do is tested on all.
@pytest.mark.process
@pytest.mark.parametrize(
    ("requeue", "does"),
    [("all-groups", "2 returned"), ("single-group", "2 left for a worker that claims (several groups)")],
)
async def test_the_reclaim_job_does_what_the_manifest_says(
    queue: Queue, shared_server: RunningServer, requeue: str, does: str
) -> None:
    parsed, environment = written(requeue)
    await queue.age(31)
    await queue.settle(parsed)
    code, out, err = await run({**environment, "STREAMQUEUE_REDIS_URL": shared_server.url})
    assert (code, out, err) == (0, f"orders/workers: {does}\n", "")


@pytest.mark.parametrize(("requeue", "returned"), [("all-groups", 2), ("single-group", 0)])
async def test_the_operators_rounds_do_what_the_manifest_says(queue: Queue, requeue: str, returned: int) -> None:
    parsed, _ = written(requeue)
    await queue.age(31)
    await queue.settle(parsed)
    snapshot = await queue.snapshot()
    assert await Recovery().recover(queue.redis, parsed, Holdings(), snapshot, 0.0, gone) == returned


def test_queues_without_it_have_the_reclaim_job_that_they_had() -> None:
    assert "requeue" not in json.loads(written("single-group")[1]["STREAMQUEUE_SPEC"])["delivery"]
