"""A worker's metrics, as Prometheus reads them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamqueue import Context, DeadLetter, Retry
from streamqueue.worker.metrics import server as metrics_server
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import until, working

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


async def scrape(port: int) -> dict[tuple[str, str], float]:
    """Values by name and `le`."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as reply:
        assert reply.status == 200
        families = list(text_string_to_metric_families(await reply.text()))
    samples = [sample for family in families for sample in family.samples]
    assert all((each.labels["stream"], each.labels["group"]) == (Queue.stream, Queue.group) for each in samples)
    return {(each.name, each.labels.get("le", "")): each.value for each in samples}


@pytest.mark.parametrize("since", ["the start", "its first look"])
async def test_what_became_of_tasks_and_how_long_it_took(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    true_time, ahead = time.time, 3600.0 if since == "the start" else 0.0
    monkeypatch.setattr(time, "time", lambda: true_time() + ahead)  # this machine's clock is an hour ahead
    release = asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> None:
        if task["task"] == "0":
            raise DeadLetter("never")
        if task["task"] == "1" and ctx.attempt == 1:
            raise Retry("once more", after=0.05)
        if task["task"] == "2":
            await release.wait()

    async def is_served() -> bool:
        with suppress(aiohttp.ClientConnectorError):
            return bool(await scrape(port))
        return False

    port = free_port()
    async with working(shared_server.url, handle, concurrency=3, metrics_port=port) as worker:
        if since != "the start":
            await until(is_served, "the first look")
            ahead = 3600.0
            await scrape(port)
        await queue.add(5)
        await until(lambda: worker.counters.acked == 3, "all but the one that is held")
        found = await scrape(port)
        release.set()
    names = ("processed", "retried", "dead", "lease_lost")
    assert [found[f"streamqueue_worker_{name}_total", ""] for name in names] == [3, 1, 1, 0]
    assert found["streamqueue_worker_in_flight", ""] == 1
    assert found["streamqueue_worker_duration_seconds_count", ""] == 5
    assert found["streamqueue_worker_end_to_end_seconds_count", ""] == 3
    assert found["streamqueue_worker_end_to_end_seconds_bucket", "60.0"] == 3, "by Redis's clock"
    assert found["streamqueue_worker_end_to_end_seconds_sum", ""] > 0.05


async def test_a_port_that_is_taken_stops_no_work(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(task: dict[str, str]) -> None:
        pass

    await queue.add()
    port = free_port()
    async with (
        await asyncio.start_server(lambda *_: None, port=port),
        working(shared_server.url, handle, metrics_port=port) as worker,
    ):
        await until(lambda: worker.counters.acked == 1, "the task")
    assert f"metrics are not served: port {port}" in caplog.text


@pytest.mark.parametrize(
    "request_text", [b"\r\n\r\n", b"GET /metrics2 HTTP/1.1\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n"]
)
async def test_nothing_else_is_served(queue: Queue, shared_server: RunningServer, request_text: bytes) -> None:
    async def handle(task: dict[str, str]) -> None:
        pass

    port = free_port()
    async with working(shared_server.url, handle, metrics_port=port) as worker:
        await queue.add()
        await until(lambda: worker.counters.acked, "a task, before which the port was open")
        reader, writer = await asyncio.open_connection("127.0.0.2", port)  # it is on all addresses
        writer.write(request_text)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 404 ")
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("request_text", "eof"),
    [(b"", False), (b"", True), (b"GET /" + b"x" * 10_000, False)],
    ids=["nothing", "a look at the port", "more than a head"],
)
async def test_what_is_no_request_is_ended(
    queue: Queue,
    shared_server: RunningServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request_text: bytes,
    eof: bool,
) -> None:
    async def handle(task: dict[str, str]) -> None:
        pass

    monkeypatch.setattr(metrics_server, "PATIENCE", 0.2)
    port = free_port()
    async with working(shared_server.url, handle, metrics_port=port) as worker:
        await queue.add()
        await until(lambda: worker.counters.acked, "a task, before which the port was open")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_text)
        if eof:
            writer.write_eof()
        with suppress(ConnectionError):  # what was not read makes the end a reset
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    assert "Unhandled" not in caplog.text


@pytest.mark.parametrize("how", ["silent", "gone"])
async def test_what_is_known_is_told_while_redis_is_away(queue: Queue, shared_server: RunningServer, how: str) -> None:
    async def handle(task: dict[str, str]) -> None:
        pass

    await queue.add()
    port = free_port()
    async with Proxy(shared_server.port) as proxy, working(proxy.url, handle, metrics_port=port) as worker:
        await until(lambda: worker.counters.acked == 1, "the task")
        if how == "silent":
            proxy.delay = 60.0  # as good as never
        else:
            proxy.lead_to(free_port())
        async with asyncio.timeout(3):  # whoever scrapes has little patience
            assert (await scrape(port))["streamqueue_worker_processed_total", ""] == 1
        proxy.delay = 0.0
        proxy.lead_to(shared_server.port)
