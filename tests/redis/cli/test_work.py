"""Commands that add or move: send, reclaim, dlq, replay."""

from __future__ import annotations

import asyncio
import datetime
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue.api.keys import StreamKeys
from streamqueue.streams import connect
from tests.redis.cli.conftest import Called, Cli
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, kill, spec
from tests.redis.servers.cluster import RunningCluster
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port


async def test_send_adds_one_task_or_one_a_line(cli: Cli, queue: Queue, tmp_path: Path) -> None:
    printed = (await cli("send", "task=a", "note=x=y")).split()
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task": "b", "n": 3}\n\n{"task": "c", "more": {"deep": [1]}}\n')
    printed += (await cli("send", "--file", str(file))).split()
    assert await queue.entries() == list(
        zip(
            printed,
            ({"task": "a", "note": "x=y"}, {"task": "b", "n": "3"}, {"task": "c", "more": '{"deep": [1]}'}),
            strict=True,
        )
    )
    assert "2 task(s)" in await cli("send", "--file", str(file), "--dry-run")
    assert len(await queue.entries()) == 3


@pytest.mark.on("redis-7.0")
@pytest.mark.parametrize("more", [(), ("--task-id", "a"), ("--delay", "1h")], ids=["plain", "by id", "delayed"])
async def test_send_needs_no_group(cli: Cli, queue: Queue, more: tuple[str, ...]) -> None:
    """Whoever reads them, tasks are the stream's: so are the marks of what was sent, and what is delayed."""
    await cli.bare("send", *more, "task=a", "--stream", queue.stream)
    assert len(await queue.entries()) + await queue.redis.zcard(StreamKeys(queue.stream).delayed) == 1
    assert await cli.bare("send", "task=a", "--stream", queue.stream, "--dry-run") == (
        "1 task(s) would be added to orders (dry run)\n"
    )


@pytest.mark.parametrize("more", [(), ("--delay", "1h")], ids=["now", "later"])
async def test_send_says_when_an_id_was_sent_before(cli: Cli, queue: Queue, more: tuple[str, ...]) -> None:
    said = [await cli.call("send", "--task-id", "order-17", *more, "a=b") for _ in range(2)]
    assert said == [
        Called(0, "order-17\n", ""),
        Called(0, "order-17\n", "order-17 was sent before: nothing is added\n"),
    ]


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
@pytest.mark.parametrize("count", [1, 3])
async def test_on_a_terminal_ids_stand_by_themselves(cli: Cli, queue: Queue, tmp_path: Path, count: int) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task": "a"}\n' * count)
    said, out = await asyncio.to_thread(on_a_terminal, cli.url, "send", "--file", str(file), "--rate", "20")
    assert (said.split(), out) == ([entry for entry, _ in await queue.entries()], "")


@pytest.mark.on("redis-7.0")
async def test_beside_a_file_of_ids_a_terminal_shows_how_far_it_is(cli: Cli, queue: Queue, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task": "a"}\n' * 3)
    words = ("send", "--file", str(file), "--rate", "20")
    said, out = await asyncio.to_thread(on_a_terminal, cli.url, *words, stdout=subprocess.PIPE)
    assert "sending" in said and out.split() == [entry for entry, _ in await queue.entries()]


@pytest.mark.on("redis-7.0")
async def test_a_send_that_was_interrupted_says_how_far_it_came(cli: Cli, queue: Queue, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task": "a"}\n' * 1000)
    process = await cli.started("send", "--file", str(file), "--rate", "50")
    while await queue.redis.xlen(queue.stream) < 5:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, said = await process.communicate()
    told = re.fullmatch(r"Interrupted: (\d+) task\(s\) were added, the next one perhaps\n+", said.decode())
    assert process.returncode == 130 and told, said
    assert out.count(b"\n") == int(told[1]) and len(await queue.entries()) - int(told[1]) in (0, 1)


@pytest.mark.on("redis-7.0")
async def test_who_reads_no_more_ids_is_told_how_many_tasks_were_added(cli: Cli, queue: Queue, tmp_path: Path) -> None:
    """As of `send --file … | head -1`."""
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task": "a"}\n' * 3)
    said = "streamqueue: the ids can't be printed: Broken pipe; 1 task(s) were added\n"
    assert await cli.unread("send", "--file", str(file)) == Called(1, "", said)
    assert len(await queue.entries()) == 1


def on_a_terminal(url: str, *words: str, stdout: int | None = None) -> tuple[str, str]:
    """What the terminal shows of standard error, and of standard output unless that is a pipe; what the pipe got."""
    ours, theirs = pty.openpty()
    where = ["--redis", url, "--stream", Queue.stream, "--group", Queue.group]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamqueue.cli", *words, *where], stdout=stdout or theirs, stderr=theirs, text=True
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # how a terminal says that all have left it
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    out, _ = process.communicate()
    assert process.returncode == 0, said
    return said.decode(), out or ""


async def test_send_takes_all_or_nothing_of_a_broken_file(cli: Cli, queue: Queue, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task": "a"}\n["task"]\n')
    assert "line 2" in await cli.refused("send", "--file", str(file), code=2)
    assert await queue.entries() == []


async def test_reclaim_returns_what_is_overdue(cli: Cli, queue: Queue) -> None:
    await queue.add(2)
    await queue.read()
    await queue.age(61)
    await queue.settle(spec(visibility=60))
    visibility = ("--visibility-timeout", "60s")
    assert (await cli("reclaim", *visibility, "--dry-run")).startswith("2 task(s) are past")
    assert len(await queue.pending()) == 2
    assert "2 returned" in await cli("reclaim", *visibility)
    assert await queue.pending() == []
    await queue.read("pod-1", count=1)
    await queue.age(61)
    await queue.read("pod-1", count=1)
    assert (await cli("reclaim", *visibility, "--dry-run")).startswith("1 task(s) are past")
    assert "1 dead-lettered" in await cli("reclaim", *visibility, "--max-deliveries", "2")


async def test_reclaim_says_in_words_until_when_it_rests(cli: Cli, queue: Queue) -> None:
    began = await queue.now()
    said = re.search(r"is off until (\S+) \(first-look\)", await cli("reclaim", "--visibility-timeout", "90s"))
    assert said
    assert 0 < datetime.datetime.fromisoformat(said[1]).timestamp() - began <= 92


async def test_dlq_lists_by_reason_age_and_id(cli: Cli, queue: Queue) -> None:
    first = await kill(queue, 2, "OOMKilled")
    (second,) = await kill(queue, 1, "exit code 1")
    assert [row["task"] for row in await cli.json("dlq", "ls")] == [*first, second]
    assert [row["task"] for row in await cli.json("dlq", "ls", "--reason", "oom")] == first
    assert [row["task"] for row in await cli.json("dlq", "ls", "--task", second)] == [second]
    letters = [row["letter"] for row in await cli.json("dlq", "ls")]
    assert [row["task"] for row in await cli.json("dlq", "ls", "--id", letters[0])] == first[:1]
    assert await cli.json("dlq", "ls", "--older-than", "1m") == []
    assert len(await cli.json("dlq", "ls", "-c", "2")) == 2
    assert (await cli.call("dlq", "ls", "-c", "3")).err == ""
    assert (await cli.call("dlq", "ls", "-c", "2")).err == "Only the first 2 are listed: -c lists more\n"
    await queue.redis.config_resetstat()
    await cli("dlq", "ls")
    assert (await queue.redis.info("commandstats"))["cmdstat_time"]["calls"] == 1
    assert re.search(r"^sq-dead-at: \d{13} \(2\d{3}-.*Z\)$", await cli("dlq", "show", letters[2]), re.MULTILINE)
    shown = await cli.json("dlq", "show", letters[2])
    assert shown["fields"]["task"] == "0" and shown["fields"]["sq-cause"] == "exit code 1"


async def test_redrive_takes_only_what_was_chosen(cli: Cli, queue: Queue) -> None:
    first = await kill(queue, 2, "OOMKilled")
    (second,) = await kill(queue, 1, "exit code 1")
    assert "1 dead letter(s) would go" in await cli("dlq", "redrive", "--reason", "exit", "--dry-run")
    assert len(await queue.dead()) == 3
    assert "1 dead letter(s) went into orders" in await cli("dlq", "redrive", "--reason", "exit")
    assert [fields["sq-id"] for _, fields in await queue.read()] == [second]
    assert [letter["sq-id"] for letter in await queue.dead()] == first


async def test_redrive_past_other_groups_goes_into_another_stream(cli: Cli, queue: Queue) -> None:
    ids = await kill(queue, 2)
    await queue.redis.xgroup_create(queue.stream, "audit", "$")
    assert "other groups" in await cli.refused("dlq", "redrive", code=1)
    assert await queue.read("a", group="audit") == []
    await cli("dlq", "redrive", "--into", "{orders}:mended")
    moved = await queue.redis.xrange("{orders}:mended")
    assert [fields[b"sq-id"].decode() for _, fields in moved] == ids
    assert await queue.dead() == []


async def test_a_dry_run_is_refused_where_the_run_would_be(cli: Cli, queue: Queue) -> None:
    await kill(queue, 1)
    await queue.redis.xgroup_create(queue.stream, "audit", "$")
    for words in (["dlq", "redrive"], ["replay", "--from", "1h"]):
        assert "other groups" in await cli.refused(*words, "--dry-run", code=1)
        assert "would" in await cli(*words, "--dry-run", "--into", "{orders}:mended")


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_a_stream_on_another_node_of_a_cluster_is_refused(cli: Cli, server: Server) -> None:
    cluster = await asyncio.to_thread(RunningCluster, server, replicas=False)
    try:
        await cluster.form()
        cli.url = cluster.url
        async with connect(cluster.url) as client:
            await Queue(client).create()
            await kill(Queue(client), 1)
            for words in (["dlq", "redrive"], ["replay", "--from", "1h"]):
                for dry in ([], ["--dry-run"]):
                    assert "as in {orders}:NAME" in await cli.refused(*words, "--into", "mended", *dry, code=2)
                await cli(*words, "--into", "{orders}:mended")
            assert await client.xlen("{orders}:mended") == 2
    finally:
        cluster.close()


async def test_an_empty_variable_is_no_bound(cli: Cli, queue: Queue) -> None:
    """As of a script's `--until "$END"`: what is left out would mean another thing."""
    await queue.add()
    for words in (["replay", "--from", "1h", "--until", ""], ["peek", "--from", ""]):
        assert words[-2] in await cli.refused(*words, code=2)
    assert len(await queue.entries()) == 1


async def test_redrive_keeps_its_rate(cli: Cli, queue: Queue) -> None:
    await kill(queue, 12)
    began = time.monotonic()
    await cli("dlq", "redrive", "--rate", "20")
    assert time.monotonic() - began >= (12 - 2) / 20  # two at once, at this rate
    assert len(await queue.read()) == 12


async def test_purge_wants_to_be_told_what(cli: Cli, queue: Queue) -> None:
    (keep,) = await kill(queue, 1, "keep")
    await kill(queue, 150, "drop")
    assert "--all" in await cli.refused("dlq", "purge", code=2)
    assert "150 dead letter(s) would" in await cli("dlq", "purge", "--reason", "drop", "--dry-run")
    assert "150 dead letter(s) removed" in await cli("dlq", "purge", "--reason", "drop")
    assert [letter["sq-id"] for letter in await queue.dead()] == [keep]
    assert "1 dead letter(s) removed" in await cli("dlq", "purge", "--all")


async def test_replay_copies_a_range_once_and_names_the_origin(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(250)
    await queue.read(count=250)
    await queue.ack(*ids)
    assert "201 entries would" in await cli("replay", "--from", ids[49], "--dry-run")
    assert "201 entries copied into orders" in await cli("replay", "--from", ids[49])
    again = [fields for _, fields in await queue.read(count=1000)]
    assert [fields["sq-replay-entry"] for fields in again] == ids[49:]
    assert {frozenset(fields) for fields in again} == {
        frozenset({"task", "sq-replay-of", "sq-replay-entry", "sq-replay-stream"})
    }


async def test_a_replay_does_not_follow_itself(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(150)
    call = asyncio.create_task(cli("replay", "--from", ids[0], "--until", "99999999999999-0"))
    while not (await asyncio.wait([call], timeout=0.05))[0]:
        if await queue.redis.xlen(queue.stream) > 1000:
            await queue.redis.delete(queue.stream)  # ends what would not end by itself
    assert "150 entries copied" in await call


async def test_replay_keeps_its_rate(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(12)
    began = time.monotonic()
    await cli("replay", "--rate", "20", *(word for entry in ids for word in ("--id", entry)))
    assert time.monotonic() - began >= (12 - 2) / 20
    assert len(await queue.entries()) == 24


async def test_large_entries_are_counted_to_the_end(cli: Cli, queue: Queue) -> None:
    for _ in range(150):
        await queue.redis.xadd(queue.stream, {"page": b"x" * 50_000})
    assert "150 entries would" in await cli("replay", "--from", "1h", "--dry-run")
    assert "150 entries copied" in await cli("replay", "--from", "1h")


async def test_a_replay_goes_on_past_what_has_too_many_fields(cli: Cli, queue: Queue) -> None:
    first = await queue.add(2)
    wide = [(await queue.redis.xadd(queue.stream, dict.fromkeys(range(4000), "x"))).decode() for _ in range(6)]
    last = await queue.add()
    said = await cli.call("replay", "--from", "1h", "--into", "{orders}:copy")
    named = ", ".join(wide[:5])
    assert said == Called(
        1,
        "3 entries copied into {orders}:copy\n",
        f"streamqueue: 6 left out, with more fields than can be copied: {named} …\n",
    )
    copied = [fields[b"sq-replay-entry"].decode() for _, fields in await queue.redis.xrange("{orders}:copy")]
    assert copied == [*first, *last]
    said = await cli.call("replay", "--id", wide[0], "--id", first[0])
    assert (said.code, said.out) == (1, "1 entry copied into orders\n")
    assert said.err.endswith(f"copied: {wide[0]}\n")


async def test_replay_of_one_id_or_up_to_a_time(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(3)
    await asyncio.sleep(0.01)
    later = await queue.add(2)
    await cli("replay", "--id", ids[1], "--into", "{orders}:copy")
    await cli("replay", "--from", "1h", "--until", later[0].partition("-")[0] + "-0", "--into", "{orders}:copy")
    copied = [fields[b"sq-replay-entry"].decode() for _, fields in await queue.redis.xrange("{orders}:copy")]
    assert copied == [ids[1], *ids, later[0]]


async def test_a_range_that_ends_before_it_begins_is_refused(cli: Cli, queue: Queue) -> None:
    (entry,) = await queue.add()
    for start, until in (("1h", "2h"), (entry, "0-1"), ("9999-01-01", entry)):
        called = await cli.call("replay", "--from", start, "--until", until)
        assert (called.code, "--until is before --from" in called.err) == (2, True)
    assert "1 entry copied" in await cli("replay", "--from", entry, "--until", entry)
    assert "0 entries copied" in await cli("replay", "--from", "9999-01-01")


async def test_a_replay_of_a_redriven_task_knows_its_task(cli: Cli, queue: Queue) -> None:
    (task,) = await kill(queue, 1)
    await cli("dlq", "redrive")
    ((entry, fields),) = await queue.read()
    assert fields["sq-id"] == task
    await cli("replay", "--id", entry)
    ((_, copy),) = await queue.read()
    assert (copy["sq-replay-of"], copy["sq-replay-entry"]) == (task, entry)
    assert "sq-id" not in copy


async def test_replay_reaches_no_other_group(cli: Cli, queue: Queue, redis: Redis) -> None:
    await queue.add(3)
    await redis.xgroup_create(queue.stream, "audit", "$")
    assert "other groups" in await cli.refused("replay", "--from", "1h", code=1)
    assert await queue.read("a", group="audit") == []


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
@pytest.mark.parametrize("by", ["--from", "--id"])
async def test_a_replay_that_broke_off_says_how_to_go_on(
    cli: Cli, queue: Queue, shared_server: RunningServer, by: str
) -> None:
    """And who does so copies no copy."""
    ids = await queue.add(60)
    words = ["--from", ids[0]] if by == "--from" else [word for entry in ids[:40] for word in ("--id", entry)]
    wanted = ids if by == "--from" else ids[:40]
    async with Proxy(shared_server.port) as proxy:
        cli.url, url = proxy.url, cli.url
        call = asyncio.create_task(cli.call("replay", "--rate", "100", *words))
        while await queue.redis.xlen(queue.stream) < 75:  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.005)
        proxy.lead_to(free_port())
        said = (await call).err
    cli.url = url
    options = re.search(r"go on with (.*)", said)
    assert options, said
    await cli("replay", *options[1].split())
    copied = [fields["sq-replay-entry"] for _, fields in (await queue.entries())[60:]]
    assert set(copied) == set(wanted) and len(copied) <= len(wanted) + 10, "one step may be done twice"


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
@pytest.mark.parametrize("by", ["--from", "--id"])
async def test_a_replay_that_was_interrupted_says_how_to_go_on(cli: Cli, queue: Queue, by: str) -> None:
    ids = await queue.add(60)
    words = ["--from", ids[0]] if by == "--from" else [word for entry in ids for word in ("--id", entry)]
    process = await cli.started("replay", *words, "--rate", "50")
    while await queue.redis.xlen(queue.stream) < 75:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, said = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    options = re.search(r"^Interrupted: \d+ copied, .*: go on with (.*)$", said.decode(), re.MULTILINE)
    assert options, said
    await cli("replay", *options[1].split())
    copied = [fields["sq-replay-entry"] for _, fields in (await queue.entries())[60:]]
    assert set(copied) == set(ids) and len(copied) <= 60 + 5, "one step may be done twice"


async def test_an_entry_that_is_named_twice_is_copied_once(cli: Cli, queue: Queue) -> None:
    (entry,) = await queue.add()
    assert "1 entry copied" in await cli("replay", "--id", entry, "--id", entry)
