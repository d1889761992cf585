"""Commands that look: status, peek, pending, top."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue.cli.main import run
from streamqueue.cli.output import printable
from streamqueue.streams import connect
from tests.redis.cli.conftest import Called, Cli
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.servers.tls import TlsServer
from tests.redis.worker.stores import retry, settle, store, take


async def test_status_counts(cli: Cli, queue: Queue) -> None:
    await queue.add(5)
    await queue.read(count=2)
    row = await cli.json("status")
    assert (row["lag"], row["pending"], row["consumers"], row["length"]) == (3, 2, 1, 5)
    assert (await cli("status")).splitlines()[0].split()[:3] == ["NAME", "LAG", "PENDING"]


async def test_in_a_worker_pod_the_url_may_be_in_a_file(
    cli: Cli, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await queue.add(2)
    file = tmp_path / "url"
    pod = {"REDIS_URL_FILE": str(file), "STREAM": queue.stream, "GROUP": queue.group}
    for name, value in pod.items():
        monkeypatch.setenv(f"STREAMQUEUE_{name}", value)
    assert await asyncio.to_thread(run, ["status"]) == 2
    assert capsys.readouterr().err.startswith(f"streamqueue: STREAMQUEUE_REDIS_URL_FILE: {file} can't be read")
    file.write_text(f"{cli.url}\n")
    assert await asyncio.to_thread(run, ["status", "-o", "json"]) == 0
    assert '"lag": 2' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["peek"], "No task waits."),
        (["peek", "--newest"], "No entries."),
        (["pending"], "No task is pending."),
        (["pending", "--idle", "1m"], "No such task is pending."),
        (["dlq", "ls"], "No dead letters."),
        (["dlq", "ls", "--reason", "OOM"], "No such dead letters."),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
async def test_nothing_is_said_to_be_nothing(cli: Cli, queue: Queue, words: list[str], says: str) -> None:
    called = await cli.call(*words)
    assert (called.code, called.out, called.err) == (0, "", f"{says}\n")
    for output, out in (("name", ""), ("json", "[]\n")):
        called = await cli.call(*words, "-o", output)
        assert (called.code, called.out, called.err) == (0, out, "")


async def test_status_counts_retries_and_delayed_tasks(cli: Cli, queue: Queue) -> None:
    await queue.add(3)
    worker = store(queue.redis, "pod-1.a1")
    late, soon, _ = await take(worker)
    await settle(worker, retry(late, delay=600), retry(soon, delay=0.001))
    await asyncio.sleep(0.002)
    row = await cli.json("status")
    assert (row["pending"], row["parked"], row["due"]) == (1, 1, 1)
    titles, cells = (line.split() for line in (await cli("status")).splitlines())
    assert [cells[titles.index(title)] for title in ("PENDING", "PARKED", "DUE")] == ["1", "1", "1"]


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_in_a_worker_pod_the_ca_is_a_file_too(
    tls_server: Callable[[str], TlsServer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = tls_server("DNS:localhost")
    url = f"rediss://localhost:{tls.port}/0"
    async with connect(url, ca_file=str(tls.ca)) as client:
        await Queue(client).create()
    pod = {"REDIS_URL": url, "REDIS_CA_FILE": str(tls.ca), "STREAM": Queue.stream, "GROUP": Queue.group}
    for name, value in pod.items():
        monkeypatch.setenv(f"STREAMQUEUE_{name}", value)
    assert await asyncio.to_thread(run, ["status", "-o", "name"]) == 0, capsys.readouterr().err


async def test_peek_shows_what_is_delivered_next_and_delivers_nothing(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(5)
    await queue.read(count=2)
    assert [row["entry"] for row in await cli.json("peek")] == ids[2:]
    assert [row["entry"] for row in await cli.json("peek", "--newest", "-c", "2")] == [ids[4], ids[3]]
    assert [row["entry"] for row in await cli.json("peek", "--from", ids[1], "-c", "2")] == ids[1:3]
    assert (await cli("peek", "-o", "name")).split() == ids[2:]
    assert (await cli("peek", "-o", "wide")).split()[:4] == ["ENTRY", "ADDED", "FIELDS", "TASK"]
    assert (await cli.call("peek", "-c", "3")).err == ""
    for output in ("table", "name", "json"):
        assert (await cli.call("peek", "-c", "2", "-o", output)).err == "Only the first 2 are listed: -c lists more\n"
    assert len(await queue.read()) == 3


async def test_peek_shows_the_history_of_a_stream_that_no_group_reads(cli: Cli, queue: Queue, redis: Redis) -> None:
    """As the last one of a pipeline."""
    ids = [(await redis.xadd("last", {"n": n})).decode() for n in range(3)]
    assert (await cli.bare("peek", "--stream", "last", "--newest", "-o", "name")).split() == ids[::-1]
    assert (await cli.bare("peek", "--stream", "last", "--from", ids[1], "-o", "name")).split() == ids[1:]
    assert "has no group 'workers'" in (await cli.call("peek", stream="last")).err
    assert "does not exist" in (await cli.call("peek", "--newest", stream="other")).err


async def test_peek_shows_the_producers_own_fields_first(cli: Cli, queue: Queue, redis: Redis) -> None:
    """A row is cut, and a redriven task or a copy bears fields of ours."""
    await redis.xadd(queue.stream, {"sq-enqueued-at": "1", "sq-replay-of": "1-1", "sku": "17"})
    assert "sku=17 sq-enqueued-at=1 sq-replay-of=1-1" in await cli("peek")


async def test_peek_moves_no_cursor_of_the_terminal(cli: Cli, queue: Queue) -> None:
    await queue.redis.xadd(queue.stream, {"text": "\x1b[2Jboo\n", "raw": b"\xff"})
    out = await cli("peek")
    assert "\x1b" not in out and len(out.splitlines()) == 2
    (row,) = await cli.json("peek")
    assert row["fields"] == {"text": "\x1b[2Jboo\n", "raw": "\\xff"}


async def test_pending_says_who_holds_what_since_when(cli: Cli, queue: Queue) -> None:
    first, second, _ = await queue.add(3)
    await queue.read("a", count=1)
    await queue.read("b", count=1)
    await queue.age(90, first)
    rows = await cli.json("pending")
    assert [(row["entry"], row["consumer"], row["attempt"]) for row in rows] == [(first, "a", 1), (second, "b", 1)]
    assert rows[0]["idleSeconds"] >= 90 > rows[1]["idleSeconds"]
    assert [row["entry"] for row in await cli.json("pending", "--idle", "1m")] == [first]
    assert [row["entry"] for row in await cli.json("pending", "--consumer", "b")] == [second]
    assert (await cli.call("pending", "-c", "2")).err == ""
    assert (await cli.call("pending", "-c", "1")).err == "Only the first 1 are listed: -c lists more\n"
    await queue.redis.xdel(queue.stream, first)
    assert "payload gone" in (await cli("pending"))


async def test_pending_finds_the_old_one_behind_a_thousand_fresh_ones(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(1200)
    await queue.read(count=1200)
    await queue.age(90, ids[-1])
    assert [row["entry"] for row in await cli.json("pending", "--idle", "1m", "-c", "1")] == [ids[-1]]


async def test_top_shows_each_look(cli: Cli, queue: Queue) -> None:
    await queue.add(3)
    began = time.monotonic()
    out = await cli("top", "--looks", "2", "--interval", "0.2")
    assert time.monotonic() - began >= 0.2
    assert "WAITING" in out and "orders/workers" in out
    assert len([line for line in out.splitlines() if line.split()[1:3] == ["3", "0"]]) >= 2


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
@pytest.mark.parametrize("name", ["orders[eu]", "a[/]b", "a\n[b\\"])
async def test_top_shows_a_streams_name_as_it_is(cli: Cli, queue: Queue, name: str) -> None:
    await queue.redis.xgroup_create(name, queue.group, mkstream=True)
    said = await cli("top", "--looks", "1", stream=name)
    assert said.splitlines()[0].rstrip() == f"{printable(name)}/{queue.group}"


async def test_top_shows_each_look_to_a_pipe_too(cli: Cli, queue: Queue) -> None:
    """As of `top QUEUE | tee`, which ends with Ctrl-C."""
    process = await cli.started("top", "--interval", "0.2")
    assert process.stdout
    try:
        for count in (0, 2):
            async with asyncio.timeout(10):
                while (await process.stdout.readline()).split()[1:3] != [str(count).encode(), b"0"]:
                    pass
            await queue.add(2 - count)
    finally:
        process.send_signal(signal.SIGINT)
    rest = await process.stdout.read()
    assert await process.wait() == 130
    assert len(rest.splitlines()) <= 3, "each look stands by itself"


@pytest.mark.on("redis-7.0")
@pytest.mark.parametrize(
    "words", [["top"], ["status"], ["peek", "-o", "json"], ["doctor"], ["dlq", "redrive"]], ids=" ".join
)
async def test_a_reader_that_has_left_ends_any_command_alike(cli: Cli, queue: Queue, words: list[str]) -> None:
    """Without a word, as SIGPIPE does: neither well nor with a problem, such as `doctor` finds."""
    await queue.add(1)
    assert await cli.unread(*words) == Called(141, "", "")


async def test_no_command_creates_a_stream_by_a_slip(cli: Cli, redis: Redis) -> None:
    looks = (["status"], ["peek"], ["pending"], ["explain", "1-1"], ["dlq", "ls"], ["dlq", "show", "1-1"])
    acts = (["reclaim"], ["replay", "--from", "1h"], ["dlq", "redrive", "--into", "other"], ["dlq", "purge", "--all"])
    for words in (*looks, *acts):
        assert "does not exist" in await cli.refused(*words, code=1)
    assert "--create" in await cli.refused("send", "a=b", code=2)
    assert await redis.dbsize() == 0


async def test_no_error_shows_the_password(cli: Cli, own_server: RunningServer, queue: Queue) -> None:
    cli.url = f"redis://:wr0ng-s3cret@127.0.0.1:{own_server.port}/0"
    async with Redis(port=own_server.port) as client:
        await client.config_set("requirepass", "other")
    for words in (["status"], ["send", "--create", "a=b"], ["doctor"], ["doctor", "-o", "json"], ["dlq", "ls"]):
        called = await cli.call(*words)
        assert called.code == 1
        assert "wr0ng" not in called.out + called.err
        assert "password" in called.out + called.err
