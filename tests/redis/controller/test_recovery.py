"""Stuck entries come back on the evidence of the cluster, and by the visibility timeout without any."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque

import pytest

from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.store import Gone, Holdings
from streamqueue.controller.pods.crash import Crash
from streamqueue.controller.recovery import Recovery
from tests.redis.queue import Queue, spec
from tests.redis.worker.stores import store, take
from tests.unit.controller.bodies import CREATED, container, pod

POD = "orders-6b7f9-abcde"


def crash(**changes: float) -> Crash:
    evidence = {"before": math.inf, "not_before": 0.0} | changes
    return Crash("p1/c1", POD, evidence["before"], evidence["not_before"], "container OOMKilled, exit code 137")


async def recover(queue: Queue, recovery: Recovery, held: Holdings | None = None) -> int:
    snapshot = await queue.snapshot()
    return await recovery.recover(queue.redis, spec(), held or Holdings(), snapshot, 0.0, gone)


async def gone(_name: str, uid: str) -> bool:
    """What the API server says of every pod."""
    assert uid, "of one whose end was seen it isn't asked"
    return False


async def test_a_dead_pods_entries_return_at_once_and_once(queue: Queue) -> None:
    await queue.add(1)
    await queue.read(POD)
    recovery = Recovery(crashes={"p1/c1": crash()})
    assert await recover(queue, recovery) == 1
    assert await recover(queue, recovery) == 0
    assert await queue.pending() == []
    assert recovery.crashes == {}


async def test_a_look_from_before_a_crash_settles_nothing(queue: Queue) -> None:
    before = await queue.snapshot()
    await queue.add(1)
    await queue.read(POD)
    recovery = Recovery()
    ended = container(state={"terminated": {"finishedAt": "2026-01-01T00:10:00Z"}})
    recovery.gather(Holdings(gone=deque([Gone(0.0, pod(POD, containerStatuses=[ended]))])), spec().handler)
    assert await recovery.recover(queue.redis, spec(), Holdings(), before, 0.0, gone) == 0
    assert recovery.crashes and len(await queue.pending()) == 1
    await asyncio.sleep(0.005)  # the server tells whole milliseconds
    assert await recover(queue, recovery) == 1
    assert recovery.crashes == {} and await queue.pending() == []


async def test_a_crash_that_was_dealt_with_is_no_evidence_again(queue: Queue) -> None:
    """A pod shows its last crash for as long as it lives."""
    ended = container(state={"terminated": {"finishedAt": "2026-01-01T00:10:00Z"}})
    recovery, held = Recovery(), Holdings(pods={POD: pod(POD, containerStatuses=[ended])})
    recovery.gather(held, spec().handler)
    assert recovery.crashes
    await asyncio.sleep(0.005)  # the server tells whole milliseconds
    await recover(queue, recovery, held)
    recovery.gather(held, spec().handler)
    assert recovery.crashes == {}


@pytest.mark.parametrize("known", [True, False], ids=["crash-known", "no-crash"])
async def test_a_crash_to_be_judged_explains_what_was_left_behind(queue: Queue, known: bool) -> None:
    await queue.add(2)
    await queue.read(POD, count=1)
    await queue.age(10)
    await queue.read(POD, count=1)
    ended = {"terminated": {"finishedAt": "2026-01-01T00:10:00Z"}}
    restarted = container(state={"running": {"startedAt": "2026-01-01T00:10:05Z"}}, lastState=ended)
    recovery, held = Recovery(), Holdings(pods={POD: pod(POD, containerStatuses=[restarted])})
    snapshot = await queue.snapshot()
    if known:
        recovery.gather(held, spec().handler)
    returned = await recovery.recover(queue.redis, spec(), held, snapshot, 0.0, gone)
    assert returned == (0 if known else 1)


async def test_a_pod_torn_away_keeps_its_entries_for_its_grace(queue: Queue) -> None:
    await queue.add(1)
    await queue.read(POD)
    recovery = Recovery(crashes={"p1/c1": crash(not_before=time.time() + 60)})
    assert await recover(queue, recovery) == 0
    assert len(await queue.pending()) == 1
    assert recovery.crashes


async def test_a_pod_that_went_out_of_sight_keeps_its_entries_while_it_lives(queue: Queue) -> None:
    """Somebody took a label off, to look into it: to a watch by label that is a deletion."""
    await queue.add(1)
    await queue.read(POD)
    asked: list[tuple[str, str]] = []
    answers: list[bool | KubeError] = [KubeError(0, "Unreachable", "no answer"), True]

    async def exists(name: str, uid: str) -> bool:
        asked.append((name, uid))
        answer = answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return answer

    recovery, unseen = Recovery(), Gone(0.0, pod(POD, containerStatuses=[container(state={"running": {}})]))
    unseen.pod["metadata"]["deletionTimestamp"] = CREATED  # long since out of its grace

    async def look() -> None:
        snapshot = await queue.snapshot()
        assert await recovery.recover(queue.redis, spec(), Holdings(), snapshot, 0.0, exists) == 0

    recovery.gather(Holdings(gone=deque([unseen])), spec().handler)
    await asyncio.sleep(0.005)  # the server tells whole milliseconds
    await look()
    assert recovery.crashes, "asked again, where nobody can tell"
    await look()
    assert recovery.crashes == {} and len(await queue.pending()) == 1
    await look()
    assert asked == [(POD, "p1")] * 2
    answers.append(False)
    recovery.gather(Holdings(gone=deque([unseen])), spec().handler)
    await asyncio.sleep(0.005)
    assert await recovery.recover(queue.redis, spec(), Holdings(), await queue.snapshot(), 0.0, exists) == 1


async def test_what_a_restarted_container_read_since_stays_with_it(queue: Queue) -> None:
    await queue.add(1)
    await queue.read(POD)
    recovery = Recovery(crashes={"p1/c1": crash(before=time.time() - 10)})
    assert await recover(queue, recovery) == 0
    assert len(await queue.pending()) == 1


async def test_workers_that_add_to_the_pods_name_are_the_pods(queue: Queue) -> None:
    await queue.add(2)
    await queue.read(f"{POD}.a1", count=1)
    await queue.read(f"{POD}.b2", count=1)
    assert await recover(queue, Recovery(crashes={"p1/c1": crash()})) == 2


async def test_what_an_sdk_worker_held_is_handed_on_one_by_one_and_counted(queue: Queue) -> None:
    await queue.add(3)
    held = await take(store(queue.redis, f"{POD}.a1"))
    recovery = Recovery(crashes={"p1/c1": crash()})
    assert await recover(queue, recovery) == len(held) == 3
    others = [await take(store(queue.redis, f"orders-6b7f9-other{n}.b2")) for n in range(4)]
    assert [len(taken) for taken in others] == [1, 1, 1, 0], "each alone, for one of them may be what killed"
    assert sorted(entry.id for taken in others for entry in taken) == sorted(entry.id for entry in held)


async def test_a_neighbours_entries_stay_with_it(queue: Queue) -> None:
    await queue.add(1)
    await queue.read("orders-6b7f9-other")
    assert await recover(queue, Recovery(crashes={"p1/c1": crash()})) == 0
    assert len(await queue.pending()) == 1


async def test_while_work_pends_the_server_is_looked_at_now_and_then(queue: Queue) -> None:
    """Or a restart would only be seen by the pass that would act on idle times."""
    recovery = Recovery()
    await queue.add(1)
    await recover(queue, recovery)
    assert not await queue.redis.exists(queue.epoch), "nothing pends"
    await queue.read("worker-1")
    await recover(queue, recovery)
    assert await queue.redis.delete(queue.epoch)
    await recover(queue, recovery)
    assert not await queue.redis.exists(queue.epoch), "it was just done"


async def test_past_the_visibility_timeout_no_evidence_is_needed(queue: Queue) -> None:
    await queue.add(1)
    await queue.read("worker-1")
    await queue.settle(spec())
    await queue.age(61)
    assert await recover(queue, Recovery()) == 1
    assert await queue.pending() == []
