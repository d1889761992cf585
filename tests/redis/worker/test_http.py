"""The http runner against real handlers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from streamqueue.worker.http import client
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.handler_server import Handler, handling, running
from tests.redis.worker.pod import until
from tests.redis.worker.program import pod_environment, started
from tests.redis.worker.stores import KEYS, PARKED, claim, expire, owners, store, take

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


async def done(request: web.Request) -> web.Response:
    return web.json_response({"said": "done"})


async def test_each_task_is_posted_once_over_one_connection_per_slot(
    queue: Queue, shared_server: RunningServer
) -> None:
    async def remember(request: web.Request) -> web.Response:
        response = web.Response()
        response.set_cookie("task", request.headers["ce-id"])
        return response

    ids = await queue.add(60)
    async with handling(remember) as handler:
        by_name = handler.url.replace("127.0.0.1", "localhost")  # of an address no client keeps cookies
        async with running(shared_server.url, by_name, concurrency=3) as runner:
            await until(lambda: runner.counters.acked == 60, "all tasks")
    assert sorted(post.headers["ce-id"] for post in handler.posts) == sorted(ids)
    assert sorted(int(json.loads(body)["task"]) for body in handler.bodies) == list(range(60))
    assert len(handler.peers) <= 3
    assert not any("cookie" in post.headers for post in handler.posts), "tasks share nothing"
    assert await queue.pending() == []


async def test_as_many_are_under_way_as_there_are_slots(queue: Queue, shared_server: RunningServer) -> None:
    all_there = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        if len(handler.posts) == 101:  # the client's own limit is 100
            all_there.set()
        await all_there.wait()
        return web.Response()

    await queue.add(101)
    async with handling(wait) as handler, running(shared_server.url, handler.url, concurrency=101) as runner:
        await until(lambda: runner.counters.acked == 101, "all at once", 9.0)


@pytest.mark.parametrize("said", [{"said": "done"}, [1, 2], "done"])
async def test_the_reply_is_the_result(queue: Queue, shared_server: RunningServer, said: Any) -> None:
    async def say(request: web.Request) -> web.Response:
        response = web.Response(text=said) if isinstance(said, str) else web.json_response(said)
        response.enable_compression()  # for who says that it can read it
        return response

    (task,) = await queue.add()
    async with handling(say) as handler, running(shared_server.url, handler.url, results_ttl=60) as runner:
        await until(lambda: runner.counters.acked == 1, "the task")
    kept = await queue.redis.hgetall(f"{KEYS.results}{task}")
    assert (kept[b"state"], json.loads(kept[b"result"])) == (b"done", said)


async def test_the_reply_is_a_task_of_the_next_stream(queue: Queue, shared_server: RunningServer) -> None:
    (task,) = await queue.add()
    following = "{orders}:next"
    async with handling(done) as handler, running(shared_server.url, handler.url, next_stream=following) as runner:
        await until(lambda: runner.counters.acked == 1, "the task")
    ((_, fields),) = await queue.redis.xrange(following)
    assert (fields[b"said"], fields[b"sq-id"]) == (b"done", task.encode())


async def test_a_reply_that_cannot_be_handed_on_is_a_dead_letter(queue: Queue, shared_server: RunningServer) -> None:
    async def garbage(request: web.Request) -> web.Response:
        return web.Response(text="{oops", content_type="application/json")

    await queue.add()
    async with handling(garbage) as handler, running(shared_server.url, handler.url, next_stream="paid") as runner:
        await until(lambda: runner.counters.dead == 1, "the dead letter")
    assert "cannot be a task of paid" in (await queue.dead())[0]["sq-cause"]


@pytest.mark.parametrize("reply", ["7", '"text"', "[1, 2]"])
async def test_a_reply_that_is_no_task_is_told_in_words_of_http(
    queue: Queue, shared_server: RunningServer, reply: str
) -> None:
    async def number(request: web.Request) -> web.Response:
        return web.Response(text=reply, content_type="application/json")

    await queue.add()
    async with handling(number) as handler, running(shared_server.url, handler.url, next_stream="paid") as runner:
        await until(lambda: runner.counters.dead == 1, "the dead letter")
    cause = (await queue.dead())[0]["sq-cause"]
    assert (
        cause == "the reply cannot be a task of paid: its body is neither a JSON object, nor a list of them, nor empty"
    )


@pytest.mark.parametrize(("size", "kept"), [(16 << 20, True), ((16 << 20) + 1, False)])
async def test_a_field_of_megabytes_is_the_body_and_the_lease_is_kept(
    queue: Queue, shared_server: RunningServer, size: int, kept: bool
) -> None:
    """And so is a result of 16 MiB; of a longer one nothing is."""

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(1.0)
        return web.Response(body=b"x" * size)

    payload = os.urandom(10 << 20)
    task = (await queue.redis.xadd(queue.stream, {"image": payload, "other": "1"})).decode()
    async with (
        handling(slow) as handler,
        running(shared_server.url, handler.url, "image", visibility_timeout=0.6, results_ttl=60) as runner,
    ):
        await until(lambda: runner.counters.acked == 1, "the task")
    assert handler.bodies == [payload]
    assert handler.posts[0].content_type == "application/octet-stream"
    assert runner.counters.stolen == 0
    assert await queue.redis.hget(f"{KEYS.results}{task}", "result") == (b'"%b"' % (b"x" * size) if kept else b"")


@pytest.mark.parametrize(("status", "attempt"), [(503, "1"), (429, "1"), (500, "2"), (408, "2"), (307, "2")])
async def test_a_failure_comes_again_and_costs_what_it_should(
    queue: Queue, shared_server: RunningServer, status: int, attempt: str
) -> None:
    async def twice(request: web.Request) -> web.Response:
        location = {"Location": "/elsewhere"}
        return web.Response(status=status, headers=location) if len(handler.posts) == 1 else web.Response(status=204)

    await queue.add()
    async with handling(twice) as handler, running(shared_server.url, handler.url) as runner:
        await until(lambda: runner.counters.acked == 1, "the second try")
    assert handler.attempts == ["1", attempt] and runner.counters.parked == 1


@pytest.mark.parametrize("kind", ["seconds", "date"])
async def test_retry_after_is_honoured(queue: Queue, shared_server: RunningServer, kind: str) -> None:
    times: list[float] = []

    async def later(request: web.Request) -> web.Response:
        times.append(time.monotonic())
        after = "1" if kind == "seconds" else formatdate(time.time() + 2.5, usegmt=True)  # a date has no fractions
        headers = {"Retry-After": after, "Date": ""}
        return web.Response(status=503, headers=headers) if len(times) == 1 else web.Response()

    await queue.add()
    async with handling(later) as handler, running(shared_server.url, handler.url) as runner:
        await until(lambda: runner.counters.acked == 1, "the second try")
    assert 1.0 <= times[1] - times[0] < 4.0


async def test_a_refusal_is_a_dead_letter_with_the_handlers_words(queue: Queue, shared_server: RunningServer) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"detail": "no such customer"}, status=422)

    await queue.add()
    async with handling(refuse) as handler, running(shared_server.url, handler.url) as runner:
        await until(lambda: runner.counters.dead == 1, "the dead letter")
    (letter,) = await queue.dead()
    assert letter["sq-reason"] == "handler"
    assert letter["sq-cause"] == 'HTTP 422: {"detail": "no such customer"}'
    assert len(handler.posts) == 1


async def test_a_task_that_makes_no_body_is_a_dead_letter_and_never_posted(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"image": b"\x89PNG\xff"})
    async with handling(done) as handler, running(shared_server.url, handler.url) as runner:
        await until(lambda: runner.counters.dead == 1, "the dead letter")
    (letter,) = await queue.raw_dead()
    assert letter[b"sq-reason"] == b"payload" and b"handler.body.field" in letter[b"sq-cause"]
    assert letter[b"image"] == b"\x89PNG\xff" and not handler.posts


async def test_nothing_is_taken_until_the_handler_listens(queue: Queue, shared_server: RunningServer) -> None:
    await queue.add(3)
    handler = Handler()
    async with running(shared_server.url, handler.url, concurrency=2) as runner:
        await asyncio.sleep(1.0)  # for what must not happen
        assert (await queue.snapshot()).undelivered == 3
        async with handling(done, handler):
            await until(lambda: runner.counters.acked == 3, "the tasks")
    assert handler.attempts == ["1", "1", "1"] and runner.counters.parked == 0


async def test_a_handler_that_goes_away_between_two_tasks_costs_no_attempt(
    queue: Queue, shared_server: RunningServer
) -> None:
    handler = Handler()
    async with running(shared_server.url, handler.url) as runner:
        async with handling(done, handler):
            await queue.add()
            await until(lambda: runner.counters.acked == 1, "the first task")
        await queue.add(5)
        await until(lambda: runner.counters.parked == 1, "the refused connection")
        await asyncio.sleep(1.0)  # for what must not happen
        assert (await queue.snapshot()).undelivered == 4 and runner.counters.parked == 1
        assert list((await owners(queue)).values()) == [PARKED]
        async with handling(done, handler):
            await until(lambda: runner.counters.acked == 6, "the other tasks")
    assert set(handler.attempts) == {"1"}


async def test_a_handler_that_takes_no_connection_off_its_queue_costs_no_attempt(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that hangs: nothing was sent to it."""
    monkeypatch.setattr(client, "CONNECT", 0.3)
    await queue.add()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hanging:  # room for one: the look whether it listens
        async with running(shared_server.url, f"http://127.0.0.1:{hanging.getsockname()[1]}/tasks") as runner:
            await until(lambda: runner.counters.parked == 1, "the task's return", 5.0)
            (entry,) = await until(lambda: take(store(queue.redis, "other")), "the task, for another")
    assert (entry.attempts, entry.crashes) == (0, 0)


async def test_a_lost_lease_ends_the_request(queue: Queue, shared_server: RunningServer) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return web.Response()

    (task,) = await queue.add()
    async with handling(hang) as handler, running(shared_server.url, handler.url, visibility_timeout=1.0) as runner:
        await begun.wait()
        await expire(queue, task)
        assert len(await claim(store(queue.redis, "thief"))) == 1
        await asyncio.wait_for(ended.wait(), 10)
        await until(lambda: runner.counters.stolen == 1, "the count")


DIES = """
import asyncio, os, sys
from aiohttp import web
running, most = 0, 0
async def handle(request):
    global running, most
    running += 1
    most = max(most, running)
    print(request.headers["ce-attempt"], most, flush=True)
    if sys.argv[2] == "dies" and running == 3:
        os._exit(1)
    await asyncio.sleep(0.2)
    running -= 1
    return web.Response()
application = web.Application()
application.router.add_post("/tasks", handle)
web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


async def test_what_ran_when_the_handler_died_is_tried_again_alone(queue: Queue, shared_server: RunningServer) -> None:
    port = str(free_port())
    await queue.add(3)
    async with running(shared_server.url, f"http://127.0.0.1:{port}/tasks", concurrency=3) as runner:
        async with started("-c", DIES, port, "dies", environment={}) as first:
            out, _ = await asyncio.wait_for(first.communicate(), 20)
        assert first.returncode == 1 and out.split() == [b"1", b"1", b"1", b"2", b"1", b"3"]
        async with started("-c", DIES, port, "lives", environment={}) as second:
            await until(lambda: runner.counters.acked == 3, "the second attempts")
            second.kill()
            out, _ = await second.communicate()
        assert out.split() == [b"2", b"1"] * 3, "second attempts, one at a time"


async def test_sigterm_drains(queue: Queue, shared_server: RunningServer) -> None:
    begun = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        begun.set()
        await asyncio.sleep(0.7)
        return web.Response()

    await queue.add(3)
    async with handling(slow) as handler:
        environment = pod_environment(shared_server, HANDLER_URL=handler.url)
        async with started("-m", "streamqueue.worker.http", environment=environment) as runner:
            await asyncio.wait_for(begun.wait(), 20)
            runner.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(runner.wait(), 10) == 0
    snapshot = await queue.snapshot()
    assert (len(handler.posts), snapshot.pending, snapshot.parked, snapshot.undelivered) == (1, 0, 0, 2)
    assert await owners(queue) == {}


async def test_a_wrong_address_is_one_line_and_exit_2(shared_server: RunningServer) -> None:
    environment = pod_environment(shared_server, HANDLER_URL="https://127.0.0.1")
    async with started("-m", "streamqueue.worker.http", environment=environment) as runner:
        assert await asyncio.wait_for(runner.wait(), 20) == 2
