"""Pods that are told to go with tasks in their hands count once, whoever leads."""

from __future__ import annotations

import time

import pytest

from streamqueue.api.timestamps import rfc3339
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import PODS, Body
from tests.redis.controller.loops import KEY, a_round, loop_over, queue_on, running, sample, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.unit.controller.bodies import CREATED, condition, pod

# What is asked of the server is a look at two pending entries.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

BEFORE, NOW = "orders-6b7f9-aaaaa", "orders-6b7f9-bbbbb"


def counted() -> float | None:
    return sample("busy_pods_terminated_total")


def ready(name: str, version: int = 1) -> Body:
    return pod(name, uid=name, version=version, conditions=[condition("Ready", "True")])


def told_to_go(name: str) -> Body:
    body = ready(name, version=2)
    body["metadata"] |= {"deletionTimestamp": CREATED, "deletionGracePeriodSeconds": 30}
    return body


async def test_what_left_before_a_new_leader_came_was_counted_by_the_last(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(2)
    for name in (BEFORE, NOW):
        await queue.read(name, count=1)
    store = store_of(queue_on(shared_server, scaling={"pollingInterval": "200ms"}))
    store.show(PODS, told_to_go(BEFORE))
    store.show(PODS, ready(NOW))
    async with loop_over(store) as loop, running(loop):
        await until(lambda: (runtime := loop.runtime(KEY)) and not runtime.fresh, "a round is over")
        assert counted() == 0
        store.show(PODS, told_to_go(NOW))
        await until(counted, "the next is counted")
        assert counted() == 1


async def test_what_a_look_did_not_show_yet_is_counted_by_the_next(queue: Queue, shared_server: RunningServer) -> None:
    """A look can be older than the task; and a worker that was told may have been about to take one."""
    await queue.add(2)
    store = store_of(queue_on(shared_server, scaling={"pollingInterval": "200ms"}))
    store.show(PODS, ready(NOW))
    async with loop_over(store) as loop, running(loop):
        await a_round(loop)
        store.show(PODS, told_to_go(NOW))
        await a_round(loop)
        assert counted() == 0
        await queue.read(NOW, count=1)
        await until(counted, "the next look counts it")
        await queue.read(NOW, count=1)
        await a_round(loop)
        assert counted() == 1


async def test_what_was_counted_by_the_last_leader_counts_no_more_though_the_first_look_fails(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(1)
    await queue.read(BEFORE, count=1)
    await queue.redis.rename(queue.stream, "aside")
    await queue.redis.set(queue.stream, "no stream")
    store = store_of(queue_on(shared_server, scaling={"pollingInterval": "200ms"}))
    store.show(PODS, told_to_go(BEFORE))
    async with loop_over(store) as loop, running(loop):
        await until(lambda: (runtime := loop.runtime(KEY)) and not runtime.fresh, "a round is over")
        await queue.redis.rename("aside", queue.stream)
        await a_round(loop)
        assert counted() == 0


def full_but_for_one_that_leaves(server: RunningServer) -> Store:
    scaling = {"maxReplicas": 1, "targetBacklog": 1, "pollingInterval": "200ms"}
    store = store_of(queue_on(server, handler={"image": "image", "protocol": "http"}, scaling=scaling), replicas=0)
    body = told_to_go(NOW)
    body["metadata"]["deletionTimestamp"] = rfc3339(time.time() + 60)
    store.show(PODS, body)
    return store


def wanted() -> float | None:
    return sample("desired_replicas")


async def test_a_pod_whose_worker_has_ended_leaves_its_room_to_others(
    queue: Queue, shared_server: RunningServer
) -> None:
    """A handler of `protocol: http` that ignores SIGTERM is there for the whole grace."""
    await queue.add(1)
    await queue.redis.xgroup_createconsumer(queue.stream, queue.group, f"{NOW}.1a2b")
    async with loop_over(full_but_for_one_that_leaves(shared_server)) as loop, running(loop):
        await a_round(loop)
        assert wanted() == 0, "it still drains"
        await queue.redis.xgroup_delconsumer(queue.stream, queue.group, f"{NOW}.1a2b")
        await until(wanted, "another in its place")


async def test_where_consumers_are_no_pods_nobody_knows_whose_worker_has_ended(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(2)
    await queue.read("worker", count=1)
    async with loop_over(full_but_for_one_that_leaves(shared_server)) as loop, running(loop):
        await a_round(loop)
        assert wanted() == 0
