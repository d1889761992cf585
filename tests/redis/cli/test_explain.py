"""Where is this task? Each answer made for real."""

from __future__ import annotations

from streamqueue.maintenance import release
from tests.redis.cli.conftest import Cli
from tests.redis.queue import Queue, kill, spec
from tests.redis.worker.stores import ack, retry, settle, store, take


async def test_a_task_from_its_first_entry_to_its_death(cli: Cli, queue: Queue) -> None:
    await queue.add(2)
    (task,) = await queue.add(1)
    story = await cli.json("explain", task)
    assert story["state"] == "waiting" and "2 task(s) are before it" in story["sentences"][-1]
    assert (await cli("explain", task)).splitlines() == story["sentences"]
    await queue.read("pod-1", count=2)
    await queue.ack(*await queue.pending())
    await queue.read("pod-7")
    story = await cli.json("explain", task)
    assert story["state"] == "pending" and "consumer pod-7" in story["sentences"][1]
    assert "attempt 1, delivery" in story["sentences"][2]
    await release(queue.redis, spec(), "pod-7", await queue.now() + 1, "OOMKilled")
    story = await cli.json("explain", task)
    assert story["state"] == "waiting" and "attempt 2" in story["sentences"][-1]
    ((copy, _),) = await queue.read("pod-8")
    assert copy in story["sentences"][1]
    by_copy, by_task = await cli.json("explain", copy), await cli.json("explain", task)
    assert by_copy["state"] == by_task["state"] == "pending"
    assert by_copy["sentences"][:2] == by_task["sentences"][:2]
    await release(queue.redis, spec(max_deliveries=2), "pod-8", await queue.now() + 1, "OOMKilled")
    story = await cli.json("explain", task)
    assert story["state"] == "dead" and "OOMKilled" in " ".join(story["sentences"])
    assert story["next"].startswith("streamqueue dlq show")
    assert (await cli("explain", task)).splitlines() == [*story["sentences"], f"next: {story['next']}"]
    assert await cli("explain", task, "-o", "name") == "dead\n"


async def test_a_task_of_the_sdk_that_waits_for_its_retry(cli: Cli, queue: Queue) -> None:
    (task,) = await queue.add(1)
    worker = store(queue.redis, "pod-1.a1")
    (entry,) = await take(worker)
    assert "attempt 1, delivery" in " ".join((await cli.json("explain", task))["sentences"])
    await settle(worker, retry(entry, delay=600))
    story = await cli.json("explain", task)
    assert story["state"] == "parked" and "attempt 2 comes at 2" in story["sentences"][-1]
    (row,) = await cli.json("pending")
    assert (row["attempt"], row["note"]) == (2, "waits for its retry")
    assert "left-pending" not in await cli.doctor()


async def test_a_count_that_a_producer_made_up_is_none(cli: Cli, queue: Queue) -> None:
    """More digits than int() takes."""
    entry: bytes = await queue.redis.xadd(queue.stream, {"sq-attempt": "9" * 5000})
    assert "attempt 1." in await cli("explain", entry.decode())
    await queue.read()
    assert [row["attempt"] for row in await cli.json("pending")] == [1]


async def test_a_delayed_task(cli: Cli, queue: Queue) -> None:
    assert (await cli("send", "--task-id", "order-7", "--delay", "10m", "a=b")).strip() == "order-7"
    assert (await cli.json("explain", "order-7"))["state"] == "delayed"
    assert await queue.entries() == []
    await cli("send", "--task-id", "order-8", "a=b")
    await cli("send", "--task-id", "order-8", "a=b")
    assert [fields["sq-id"] for _, fields in await queue.entries()] == ["order-8"]
    worker = store(queue.redis, "pod-1.a1")
    (entry,) = await take(worker)
    await settle(worker, ack(entry))
    assert (await cli.json("explain", "order-8"))["state"] == "acknowledged"


async def test_an_acknowledged_task(cli: Cli, queue: Queue) -> None:
    (task,) = await queue.add(1)
    await queue.read()
    await queue.ack(task)
    assert (await cli("explain", task, "-o", "name")).strip() == "acknowledged"


async def test_what_is_not_there(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(3)
    await queue.redis.xtrim(queue.stream, maxlen=2, approximate=False)
    assert (await cli.json("explain", ids[0]))["state"] == "trimmed"
    assert (await cli.json("explain", "99999999999999-0"))["state"] == "never-seen"
    assert (await cli.json("explain", "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"))["state"] == "never-seen"
    await queue.redis.xdel(queue.stream, ids[1])
    await queue.redis.xadd(queue.stream, {"a": "b"})
    assert (await cli.json("explain", ids[1]))["state"] == "trimmed"


async def test_a_pending_task_whose_payload_is_gone(cli: Cli, queue: Queue) -> None:
    (task,) = await queue.add(1)
    await queue.read()
    await queue.redis.xdel(queue.stream, task)
    story = await cli.json("explain", task)
    assert story["state"] == "pending" and "payload is gone" in " ".join(story["sentences"])


async def test_a_producers_own_task_id(cli: Cli, queue: Queue) -> None:
    await queue.add(1500)
    await queue.redis.xadd(queue.stream, {"sq-id": "order-17", "payload": "x" * 50_000})
    assert (await cli.json("explain", "order-17"))["state"] == "waiting"


async def test_a_task_whose_id_is_of_another_servers_clock(cli: Cli, queue: Queue) -> None:
    """As of a pipeline's first stage, on a server whose clock is ahead."""
    ahead = f"{round((await queue.now() + 30) * 1000)}-0"
    await queue.redis.xadd(queue.stream, {"sq-id": ahead})
    assert (await cli.json("explain", ahead))["state"] == "waiting"


async def test_a_queue_whose_tasks_come_later_is_not_empty(cli: Cli, queue: Queue) -> None:
    await cli("send", "--delay", "10m", "a=b")
    story = await cli.json("explain")
    assert story["state"] == "waiting" and "is due in 9m5" in story["sentences"][-1]
    await queue.add(1)
    worker = store(queue.redis, "pod-1.a1")
    (entry,) = await take(worker)
    await settle(worker, retry(entry, delay=300))
    story = await cli.json("explain")
    assert story["sentences"][1] == "1 task(s) have failed and wait for their retry."
    assert story["next"].startswith("streamqueue pending")


async def test_a_queue_in_sentences(cli: Cli, queue: Queue) -> None:
    await kill(queue, 1)
    await queue.add(3)
    await queue.read("pod-3", count=1)
    story = await cli.json("explain")
    assert story["state"] == "working"
    assert story["sentences"][0] == "2 task(s) wait, 1 are in workers' hands."
    assert "pod-3 holds 1" in " ".join(story["sentences"])
