"""What a handler returns becomes a task of the next stream, with the acknowledgement."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue import Context
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working

pytestmark = pytest.mark.process

NEXT = "paid"


async def test_results_are_tasks_of_the_next_stream(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    returned = {"one": {"n": 1, "text": "é"}, "many": ({"n": 1}, {"n": 2}), "none": None, "bytes": b"\xff"}

    async def handle(task: dict[str, str]) -> Any:
        return returned[task["kind"]]

    for kind in returned:
        await queue.redis.xadd(queue.stream, {"kind": kind, "sq-id": f"id-{kind}", "sq-origin": "upload"})
    async with working(shared_server.url, handle, next_stream=NEXT) as worker:
        await until(lambda: worker.counters.acked == 4, "all four")

    assert [fields for _, fields in await queue.redis.xrange(NEXT)] == [
        {b"sq-id": b"id-one", b"n": b"1", b"text": "é".encode(), b"sq-origin": b"upload"},
        {b"sq-id": b"id-many/0", b"n": b"1", b"sq-origin": b"upload"},
        {b"sq-id": b"id-many/1", b"n": b"2", b"sq-origin": b"upload"},
        {b"sq-id": b"id-bytes", b"body": b"\xff", b"sq-origin": b"upload"},
    ]
    assert "the result is not kept" not in caplog.text, "nobody wants it kept"


@pytest.mark.parametrize("next_stream", [NEXT, ""])
async def test_the_head_of_the_line_is_the_origin(queue: Queue, shared_server: RunningServer, next_stream: str) -> None:
    async def handle(task: dict[str, str], ctx: Context) -> Any:
        ctx.emit("audit", {"seen": task["task"]})
        return {"done": task["task"]}

    (first,) = await queue.add()
    async with working(shared_server.url, handle, next_stream=next_stream) as worker:
        await until(lambda: worker.counters.acked == 1, "the task")

    tasks = [fields for _, fields in await queue.redis.xrange(NEXT)]
    assert tasks == [{b"sq-id": first.encode(), b"done": b"0", b"sq-origin": first.encode()}] * bool(next_stream)
    ((_, extra),) = await queue.redis.xrange("audit")
    assert extra == {b"seen": b"0", b"sq-origin": first.encode()}


async def test_what_cannot_be_a_task_is_a_dead_letter(queue: Queue, shared_server: RunningServer) -> None:
    returned: dict[str, Any] = {"0": "text", "1": [{"n": 1}, 2], "2": {}, "3": {"sq-id": "x"}}

    async def handle(task: dict[str, str]) -> Any:
        return returned[task["task"]]

    await queue.add(len(returned))
    async with working(shared_server.url, handle, next_stream=NEXT) as worker:
        await until(lambda: worker.counters.dead == len(returned), "all dead")

    causes = [letter["sq-cause"] for letter in await queue.dead()]
    assert all("cannot be a task of paid" in cause for cause in causes), causes
    assert worker.counters.parked == 0, "the handler would return it again"
    assert await queue.redis.exists(NEXT) == 0, "a list is handed on whole or not at all"


async def test_a_key_that_is_no_stream_stops_its_own_tasks_alone(queue: Queue, shared_server: RunningServer) -> None:
    await queue.redis.set("broken", "1")

    async def handle(task: dict[str, str], ctx: Context) -> Any:
        if task["task"] == "0":
            ctx.emit("broken", {"n": 1})
        return {"n": task["task"]}

    await queue.add(3)
    async with working(shared_server.url, handle, next_stream=NEXT, max_deliveries=1) as worker:
        await until(lambda: worker.counters.acked == 2 and worker.counters.dead == 1, "two and one dead")

    assert [fields[b"n"] for _, fields in await queue.redis.xrange(NEXT)] == [b"1", b"2"]
    (letter,) = await queue.dead()
    assert "broken, which is a string" in letter["sq-cause"]
