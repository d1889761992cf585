"""What a round says of a queue, where odd things lie about."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, STREAM_QUEUES
from streamqueue.controller.status import metrics
from tests.redis.controller.loops import KEY, loop_over, queue_on, running, sample, taken
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.unit.controller.bodies import CREATED, condition, container, owned, pod, queue

# What is asked of the server is a look at an empty stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


async def first_status(store: Store) -> dict[str, Any]:
    """What the first round over the queues in `store` writes. Secrets are read once that is done."""
    said: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            await asyncio.wait((said,))
            return web.json_response({"reason": "NotFound"}, status=404)
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/status") and not said.done():
            said.set_result(body["status"])
        return taken(body)

    async with loop_over(store, handle) as loop, running(loop):
        return await asyncio.wait_for(said, 10)


@pytest.fixture
async def store(redis: Redis, shared_server: RunningServer) -> Store:
    await Queue(redis).create()
    store = Store()
    store.show(STREAM_QUEUES, queue_on(shared_server))
    return store


async def test_a_pod_that_was_evicted_once_says_nothing_of_a_queue_at_zero(store: Store) -> None:
    ended = {"terminated": {"exitCode": 137, "finishedAt": CREATED}}
    statuses = [container(state=ended, restartCount=1)]
    store.show(PODS, pod(phase="Failed", reason="Evicted", containerStatuses=statuses))
    said = {each["type"]: each["status"] for each in (await first_status(store))["conditions"]}
    assert said["Ready"] == "True" and "PodsFailing" not in said


QUOTA = 'pods "orders-6b7f9-abcde" is forbidden: exceeded quota: compute'


@pytest.mark.parametrize("ready", [False, True])
async def test_pods_that_the_cluster_wont_have_are_told_of(store: Store, ready: bool) -> None:
    """A quota, a policy, a ServiceAccount that isn't there: the ReplicaSet is told, and we are by the Deployment."""
    failure = condition("ReplicaFailure", "True", "FailedCreate", QUOTA)
    template = {"metadata": {}, "spec": {}}
    status = {"replicas": int(ready), "conditions": [condition("Available", "True"), failure]}
    store.show(DEPLOYMENTS, owned("Deployment", spec={"replicas": 2, "template": template}, status=status))
    if ready:
        store.show(PODS, pod(conditions=[condition("Ready", "True")]))
    said = {each["type"]: each for each in (await first_status(store))["conditions"]}
    assert (said["PodsFailing"]["reason"], QUOTA in said["PodsFailing"]["message"]) == ("FailedCreate", True)
    assert said["Ready"]["status"] == str(ready)
    assert ready or said["Ready"]["reason"] == "FailedCreate"


async def test_of_a_spec_that_cant_be_used_old_crashes_are_no_news(store: Store) -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": CREATED}}
    running = {"running": {"startedAt": CREATED}}
    statuses = [container(state=running, lastState=ended, restartCount=3)]
    store.show(PODS, pod(phase="Running", conditions=[condition("Ready", "True")], containerStatuses=statuses))
    store.show(STREAM_QUEUES, queue(version=2, spec={"stream": "orders"}))
    metrics.show_stuck(KEY, True)
    said = {each["type"]: each["reason"] for each in (await first_status(store))["conditions"]}
    assert said["Accepted"] == "Invalid" and "PodsFailing" not in said
    assert sample("results_stuck") == 0, "as the conditions say"


async def test_dead_letters_under_a_key_that_is_no_stream_are_unknown(store: Store, redis: Redis) -> None:
    await redis.rpush(Queue.dlq, "theirs")
    assert "deadLetters" not in await first_status(store)


async def test_a_queue_doesnt_wait_for_the_secret_of_a_younger_one(store: Store) -> None:
    """A new leader has all of them to read."""
    spec = {"redis": {"secretRef": {"name": "redis", "key": "url"}}, "stream": "s", "group": "g"}
    younger = queue("younger", uid="q2", spec=spec | {"handler": {"image": "image"}})
    younger["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    store.show(STREAM_QUEUES, younger)
    assert (await first_status(store))["lagKnown"]
