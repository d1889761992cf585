"""Results for a stream that no script reaches go by way of the outbox: each arrives once.

On a cluster-enabled server that holds every slot: it refuses scripts across slots as a whole cluster does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import pytest

from streamqueue.api.keys import StreamKeys
from streamqueue.maintenance import sweep
from streamqueue.maintenance.relay import NO_NEXT_REDIS, relay
from streamqueue.streams import ProblemKind, connect, outbox
from streamqueue.streams.outbox import relay_step
from streamqueue.worker.relaying import Relaying
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer
from tests.redis.worker.outboxes import FAR, arrived, each_arrives_once, emptied, handing_on, taken
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import KEYS, settle

SEEN = StreamKeys(FAR).seen(KEYS)


@pytest.fixture
async def queue(one_node: RunningServer) -> AsyncIterator[Queue]:
    client = connect(one_node.url)
    await client.flushall()
    queue = Queue(client)
    await queue.create()
    yield queue
    await client.aclose()


async def add_row(queue: Queue, name: str, at: int) -> None:
    """A row for FAR that was written at `at`, in ms."""
    await queue.redis.sadd(KEYS.outboxes, FAR)
    await queue.redis.xadd(KEYS.outbox(FAR), {"of": name, "sq-row": name}, id=f"{at}-0")


async def test_results_reach_a_stream_of_another_slot_once(
    queue: Queue, one_node: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamqueue.worker.relaying.INTERVAL", 600.0)  # they wait for no look

    async def handle(task: dict[str, str]) -> dict[str, str]:
        return {"of": task["task"]}

    ids = await queue.add(250)
    async with working(one_node.url, handle, next_stream=FAR, concurrency=20):
        async with asyncio.timeout(20):
            while await queue.redis.xlen(FAR) < len(ids):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    entries = await queue.redis.xrange(FAR)
    assert Counter(fields[b"sq-id"].decode() for _, fields in entries) == dict.fromkeys(ids, 1)
    assert all({b"sq-id", b"sq-origin", b"sq-enqueued-at", b"of"} == set(fields) for _, fields in entries)
    await emptied(queue, queue.redis)


async def test_a_proxy_that_spreads_simple_commands_is_not_taken_for_one_server(
    queue: Queue, one_node: RunningServer
) -> None:
    """As that of Redis Enterprise does: EXISTS reaches keys of several slots, a script does not."""

    async def handle(task: dict[str, str]) -> dict[str, str]:
        return {"of": task["task"]}

    await queue.add()
    async with Proxy(one_node.port) as proxy:
        proxy.answers[b"*3\r\n$6\r\nEXISTS\r\n"] = b":1\r\n"
        async with working(proxy.url, handle, next_stream=FAR):
            assert await until(lambda: arrived(queue.redis), "the result") == ["0"]


async def test_rows_are_work_in_hand_until_a_pass_delivers_them(queue: Queue) -> None:
    a, held = await taken(queue, 3)
    await settle(a, *(handing_on(entry, entry.id) for entry in held))
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.outboxed) == (0, 3)
    await queue.redis.delete(queue.stream)
    assert (await queue.snapshot()).outboxed == 3, "also without its stream"
    await queue.create()

    report = await sweep(queue.redis, spec())

    assert (report.relayed, report.stuck) == (3, ()) and "3 results relayed" in report.summary()
    assert await arrived(queue.redis) == [entry.id for entry in held]
    await emptied(queue, queue.redis)


async def test_an_outbox_row_tells_since_when_it_waits(queue: Queue) -> None:
    a, (entry,) = await taken(queue, 1)
    before = await queue.now()
    await settle(a, handing_on(entry, "x"))
    await relay(queue.redis, KEYS, budget=5)
    ((_, fields),) = await queue.redis.xrange(FAR)
    assert before - 1 <= int(fields[b"sq-enqueued-at"]) / 1000 <= await queue.now()


@pytest.mark.parametrize("name", ["_EXCHANGE", "_DELIVER", "_CLEAR"])
async def test_every_call_may_fail_and_each_row_arrives_once(
    queue: Queue, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await each_arrives_once(queue, queue.redis, name, monkeypatch)


async def test_a_relay_that_dies_between_the_steps_doubles_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(Exception):
        pass

    async def dies(*_: Any) -> None:
        raise Died

    a, held = await taken(queue, 2)
    await settle(a, handing_on(held[0], held[0].id))
    await relay(queue.redis, KEYS, budget=5)
    await emptied(queue, queue.redis)
    await settle(a, *(handing_on(entry, entry.id) for entry in held[1:]))
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "_CLEAR", dies)
            with pytest.raises(Died):
                await relay(queue.redis, KEYS, budget=5)
        assert await queue.redis.pttl(SEEN) == -1, "the marks may go before their rows"
    await relay(queue.redis, KEYS, budget=5)
    assert await arrived(queue.redis) == [entry.id for entry in held]
    await emptied(queue, queue.redis)


async def test_relays_at_once_deliver_once_and_in_order(queue: Queue, one_node: RunningServer) -> None:
    a, held = await taken(queue, 100)
    names = {entry.id: [f"{entry.id}.{n}" for n in range(5)] for entry in held}
    for start in range(0, 100, 10):
        await settle(a, *(handing_on(entry, *names[entry.id]) for entry in held[start : start + 10]))
    clients = [connect(one_node.url) for _ in range(4)]
    await asyncio.gather(*(relay(client, KEYS, budget=20) for client in clients))
    for client in clients:
        await client.aclose()
    assert await arrived(queue.redis) == [name for entry in held for name in names[entry.id]]
    await emptied(queue, queue.redis)


async def test_a_relay_that_was_overtaken_removes_no_later_row(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outbox that was emptied meanwhile begins anew, in the same millisecond: with the same id."""
    deliver = outbox._DELIVER

    async def overtaken(*step: Any) -> Any:
        monkeypatch.setattr(outbox, "_DELIVER", deliver)
        await relay(queue.redis, KEYS, budget=5)
        await add_row(queue, "later", 5)
        return await deliver(*step)

    await add_row(queue, "first", 5)
    monkeypatch.setattr(outbox, "_DELIVER", overtaken)
    for _ in range(2):
        await relay(queue.redis, KEYS, budget=5)
    assert await arrived(queue.redis) == ["first", "later"]
    await emptied(queue, queue.redis)


async def test_a_relay_that_was_overtaken_by_a_backlog_doubles_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's rows go within milliseconds: marks count from when their rows were read."""
    deliver, now = outbox._DELIVER, int(await queue.now() * 1000)

    async def overtaken(*step: Any) -> Any:
        monkeypatch.setattr(outbox, "_DELIVER", deliver)
        assert (await relay(queue.redis, KEYS, budget=5)).delivered == 2
        return await deliver(*step)

    await add_row(queue, "old", now - 3_600_000)
    await add_row(queue, "new", now)
    monkeypatch.setattr(outbox, "STEP", 1)
    monkeypatch.setattr(outbox, "_DELIVER", overtaken)
    await relay(queue.redis, KEYS, budget=5)
    assert await arrived(queue.redis) == ["old", "new"]
    await emptied(queue, queue.redis)


async def test_marks_stay_while_their_rows_do(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that went an hour ago and were not removed: none comes again, however often a relay tries."""
    now = int(await queue.now() * 1000)
    await add_row(queue, "first", now - 2)
    await add_row(queue, "second", now - 1)

    async def not_reached(*_: Any) -> int:
        return 1

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_CLEAR", not_reached)
        await relay_step(queue.redis, KEYS, FAR, queue.redis)
        await queue.redis.zadd(SEEN, {"first": now - 3_600_002, "second": now - 3_600_001})
        for n in range(3):
            await add_row(queue, f"new {n}", now + n)
            await relay_step(queue.redis, KEYS, FAR, queue.redis)
        assert await arrived(queue.redis) == ["first", "second", "new 0", "new 1", "new 2"]
        await queue.redis.xdel(KEYS.outbox(FAR), f"{now - 2}-0")
        await add_row(queue, "last", now + 3)
        await relay_step(queue.redis, KEYS, FAR, queue.redis)
    marks = await queue.redis.zrange(SEEN, 0, -1)
    assert b"first" not in marks and b"second" in marks, "marks of rows that are long gone are kept"
    await relay_step(queue.redis, KEYS, FAR, queue.redis)
    assert len(await arrived(queue.redis)) == 6
    await emptied(queue, queue.redis)


async def test_marks_have_no_end_while_a_row_is_left(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been delivered by another relay, that died before it removed it."""
    monkeypatch.setattr(outbox, "STEP", 2)
    a, held = await taken(queue, 3)
    await settle(a, *(handing_on(entry, entry.id) for entry in held))
    assert await relay_step(queue.redis, KEYS, FAR, queue.redis) == (2, 1)
    assert await queue.redis.pttl(SEEN) == -1


async def test_marks_outlive_their_rows_by_ten_minutes(queue: Queue) -> None:
    """A relay that stood still meanwhile would double them."""
    now = int(await queue.now() * 1000)
    await queue.redis.zadd(SEEN, {"lately": now - 590_000, "long ago": now - 610_000})
    a, (entry,) = await taken(queue, 1)
    await settle(a, handing_on(entry, "x"))
    await relay(queue.redis, KEYS, budget=5)
    marks = await queue.redis.zrange(SEEN, 0, -1)
    assert b"lately" in marks and b"long ago" not in marks


async def test_without_a_place_for_marks_nothing_goes(queue: Queue) -> None:
    """It would go with each try."""
    await queue.redis.set(SEEN, "mine")
    a, (entry,) = await taken(queue, 1)
    await settle(a, handing_on(entry, "x"))
    assert (await relay(queue.redis, KEYS, budget=5)).stuck[FAR].kind is ProblemKind.WRONG_TYPE
    assert await arrived(queue.redis) == [] and (await queue.snapshot()).outboxed == 1


async def test_a_stream_that_takes_nothing_holds_up_no_other(queue: Queue) -> None:
    await queue.redis.set("broken", "1")
    a, held = await taken(queue, 2)
    await settle(a, handing_on(held[0], "x", stream="broken"), handing_on(held[1], "y"))

    report = await relay(queue.redis, KEYS, budget=5)

    assert (report.delivered, {name: why.kind for name, why in report.stuck.items()}) == (
        1,
        {"broken": ProblemKind.WRONG_TYPE},
    )
    assert await arrived(queue.redis) == ["y"] and (await queue.snapshot()).outboxed == 1
    assert "wait in the outbox for broken" in (await sweep(queue.redis, spec())).summary()
    await queue.redis.delete("broken")
    await relay(queue.redis, KEYS, budget=5)
    assert await arrived(queue.redis, "broken") == ["x"]
    await emptied(queue, queue.redis)


async def test_a_pass_ends_with_its_time_and_the_next_goes_on(queue: Queue) -> None:
    """However much there is: the operator and the reclaim run have more to do."""
    a, held = await taken(queue, 3)
    await settle(a, *(handing_on(entry, entry.id) for entry in held))
    report = await relay(queue.redis, KEYS, budget=0.0)
    assert (report.delivered, report.is_cut, report.stuck) == (0, True, {})
    report = await relay(queue.redis, KEYS, budget=5)
    assert (report.delivered, report.is_cut) == (3, False)


async def test_a_worker_goes_on_where_a_pass_was_too_short(
    queue: Queue, one_node: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a second, and looks again after some."""
    a, held = await taken(queue, 3)
    await settle(a, *(handing_on(entry, entry.id) for entry in held))
    monkeypatch.setattr(outbox, "STEP", 1)
    seconds = cycle([0.0, 0.0, 2.0])  # begin, the first row, the second
    monkeypatch.setattr("streamqueue.maintenance.relay.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr("streamqueue.worker.relaying.INTERVAL", 600.0)
    relaying = Relaying(queue.redis, KEYS, lambda: NO_NEXT_REDIS)
    relaying.soon()
    keeping = asyncio.create_task(relaying.keep())
    async with asyncio.timeout(10):
        while len(await arrived(queue.redis)) < 3:  # noqa: ASYNC110 - the server's
            await asyncio.sleep(0.02)
    keeping.cancel()


async def test_a_worker_delivers_what_another_left_behind(
    queue: Queue, one_node: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamqueue.worker.relaying.INTERVAL", 0.1)
    a, (entry,) = await taken(queue, 1)
    await settle(a, handing_on(entry, "left"))
    async with working(one_node.url, lambda task: None):
        await until(lambda: queue.redis.exists(FAR), "what the dead worker left")
    assert await arrived(queue.redis) == ["left"]


async def hand_on_last(queue: Queue, one_node: RunningServer) -> None:
    """A worker's only task is done, and its result handed on, after it was told to stop."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str]) -> dict[str, str]:
        begun.set()
        await over.wait()
        return {"of": task["task"]}

    await queue.add()
    async with working(one_node.url, handle, next_stream=FAR) as worker:
        await begun.wait()
        worker.stop()
        over.set()
        await until(lambda: worker.counters.acked, "the acknowledgement")


async def test_what_a_worker_did_last_goes_on_before_it_ends(
    queue: Queue, one_node: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look at the outbox may be minutes away: it was the last pod."""
    monkeypatch.setattr(Relaying, "soon", lambda _: None)  # as if it ended before it came to that
    await hand_on_last(queue, one_node)
    assert await arrived(queue.redis) == ["0"]


async def test_a_worker_that_has_ended_leaves_nothing_running(queue: Queue, one_node: RunningServer) -> None:
    """Its last task calls the relay in the step in which the relay is cancelled."""
    before = asyncio.all_tasks()
    await hand_on_last(queue, one_node)
    await until(lambda: asyncio.all_tasks() == before, "the end of all that it did", 5)


async def test_who_is_led_to_a_cluster_under_way_uses_the_outbox_there(
    queue: Queue, one_node: RunningServer, server: Server
) -> None:
    """Where a script may go is asked anew after a failover, or no task with a result would ever be acknowledged."""

    async def handle(task: dict[str, str]) -> dict[str, str]:
        return {"of": task["task"]}

    alone = await asyncio.to_thread(RunningServer, server)
    try:
        async with Proxy(alone.port) as proxy, connect(alone.url) as first, working(proxy.url, handle, next_stream=FAR):
            await first.xadd(queue.stream, {"task": "first"})
            assert await until(lambda: arrived(first), "a result, in one step") == ["first"]
            proxy.lead_to(one_node.port)
            await queue.redis.xadd(queue.stream, {"task": "second"})
            assert await until(lambda: arrived(queue.redis), "a result, by the outbox") == ["second"]
    finally:
        alone.close()
