"""A delayed task that a sleeping queue's server holds: what the scaler sees of it, and when it looks again."""

from __future__ import annotations

from redis.asyncio import Redis

from streamqueue import Queue as Producer
from streamqueue.api.spec import Scaling, TargetBacklog
from streamqueue.controller.endpoints.wake import nap
from streamqueue.controller.round import sleeper
from streamqueue.controller.status.assess import Facts
from streamqueue.loop.observe import observation
from streamqueue.scaling import Decision, Memory, decide, lead
from streamqueue.streams import Snapshot
from tests.redis.controller.loops import a_round, loop_over, queue_on, running, store_of
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until

BY_BACKLOG = Scaling(max_replicas=5, target=TargetBacklog(10))


def decided(snapshot: Snapshot, now: float, memory: Memory | None) -> tuple[Decision, Memory]:
    return decide(BY_BACKLOG, memory, observation(snapshot, (), now=now, replicas=0))


async def test_a_sleeping_queue_is_looked_at_when_a_pod_has_to_start_for_its_delayed_task(
    redis: Redis, shared_server: RunningServer
) -> None:
    queue = Queue(redis)
    await queue.create()
    _, memory = decided(await queue.snapshot(), 0.0, None)
    early = lead(BY_BACKLOG, memory.cold)
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send({"n": 1}, delay=early + 2.0)
    snapshot = await queue.snapshot()
    decision, memory = decided(snapshot, 1.0, memory)
    assert decision.replicas == 0
    asleep = sleeper(spec(scaling=BY_BACKLOG), Facts(snapshot=snapshot, decision=decision), memory)
    assert asleep is not None and asleep.alarm is not None
    assert 1.0 < asleep.alarm <= 2.0
    wait = min(nap(asleep, 1.0, f"uid-{n}", 0.0) for n in range(100))
    assert wait <= asleep.alarm


async def test_a_delayed_task_comes_when_due_though_no_worker_runs(queue: Queue, shared_server: RunningServer) -> None:
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send({"n": 1}, delay=0.3)
    store = store_of(queue_on(shared_server, scaling={"paused": True, "pollingInterval": "200ms"}), replicas=0)
    async with loop_over(store) as loop, running(loop):
        await a_round(loop)
        await until(queue.entries, "it is in the stream")


async def test_a_pod_starts_before_the_delayed_task_is_due(redis: Redis, shared_server: RunningServer) -> None:
    queue = Queue(redis)
    await queue.create()
    _, memory = decided(await queue.snapshot(), 0.0, None)
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send({"n": 1}, delay=lead(BY_BACKLOG, memory.cold) - 1.0)
    snapshot = await queue.snapshot()
    assert snapshot.due == 0
    decision, _ = decided(snapshot, 1.0, memory)
    assert decision.replicas == 1
    assert "a delayed task is due in" in decision.sentence
