"""A cluster of three primaries and their replicas: each queue is found, through slots that move and nodes that go."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from streamqueue import Queue as Producer
from streamqueue.api.spec import RedisMode
from streamqueue.maintenance import QuietReason, check_server, redrive, release, sweep
from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, SnapshotRequest, connect, take_snapshots
from streamqueue.streams.connection import UrlFile, primaries
from streamqueue.streams.settlement import Emit, Settlement
from streamqueue.streams.wait import wait_for_entries
from streamqueue.worker.producer.results import look_up
from tests.redis.connections import steps
from tests.redis.queue import Queue, kill, spec
from tests.redis.servers.cluster import RunningCluster
from tests.redis.servers.process import RunningServer
from tests.redis.test_rights import PAGE, rights
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import KEYS, ack, claim, expire, retry, settle, store, take

# Clusters differ by the server's generation, not by each version.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

SLOT = key_slot(Queue.stream.encode())
MODES = pytest.mark.parametrize("mode", [RedisMode.AUTO, RedisMode.CLUSTER])


@pytest.fixture(autouse=True)
async def _empty(cluster: RunningCluster) -> None:
    for node in cluster.nodes:
        await cluster.ask(node, "FLUSHALL", ignore=True)  # replicas refuse


def connected(cluster: RunningCluster, mode: RedisMode = RedisMode.AUTO) -> Redis:
    return connect(f"{cluster.url}?socket_timeout=1&socket_connect_timeout=1", mode=mode)


@MODES
async def test_queues_of_all_nodes_are_read_in_one_go(cluster: RunningCluster, mode: RedisMode) -> None:
    async with connected(cluster, mode) as client:
        names = [f"queue-{n}" for n in range(100)]
        for n, name in enumerate(names):
            await client.xgroup_create(name, "workers", "0", mkstream=True)
            for _ in range(n % 3):
                await client.xadd(name, {"task": "x"})
        answers = await take_snapshots(client, [SnapshotRequest(name, "workers") for name in names])
        assert [answer.undelivered for answer in answers if isinstance(answer, Snapshot)] == [n % 3 for n in range(100)]
        assert len(primaries(client)) == 3


@MODES
async def test_workers_producers_and_sweeps_find_their_keys(cluster: RunningCluster, mode: RedisMode) -> None:
    done: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        done.append(task["n"])

    async with (
        Producer(cluster.url, Queue.stream, mode=mode) as producer,
        connected(cluster, mode) as client,
        working(cluster.url, handle, redis_mode=mode),
    ):
        sent = await producer.send({"n": "replicated"}, replicated=True)
        assert sent.replicated
        await producer.send_many([{"n": str(n)} for n in range(20)])
        await until(lambda: len(done) == 21, "every task is done")
        assert (await sweep(client, spec())).returned == 0
    assert sorted(done) == sorted(["replicated", *(str(n) for n in range(20))])


async def test_sleeping_queues_of_one_slot_are_listened_to(cluster: RunningCluster) -> None:
    async with connected(cluster, RedisMode.CLUSTER) as client:
        await Queue(client).add(1)
        beside = f"{{{Queue.stream}}}:beside"
        assert await wait_for_entries(client, {beside: "0", Queue.stream: "0"}, 1.0) == {Queue.stream}
        with pytest.raises(RedisProblem) as caught:
            await wait_for_entries(client, {Queue.stream: "0", "other": "0"}, 1.0)
        assert caught.value.kind is ProblemKind.CLUSTER  # so that these are polled


async def test_the_pass_without_the_operator_looks_at_the_node_of_the_queue(cluster: RunningCluster) -> None:
    """Each pass is a process of its own, which begins at the URL's node: another node's run id is no restart."""
    async with connected(cluster) as client:
        await Queue(client).create()
        await check_server(client, spec())
        await Queue(client).settle(spec())
    owner = await cluster.owner(Queue.stream)
    other = next(node for node in cluster.nodes[:3] if node is not owner)
    async with connect(other.url) as fresh:
        assert (await check_server(fresh, spec())).until is None


@dataclass(frozen=True, slots=True)
class Move:
    """The slot of `Queue` on its way from one primary to another."""

    cluster: RunningCluster
    source: RunningServer
    target: RunningServer

    @property
    def back(self) -> Move:
        return Move(self.cluster, self.target, self.source)

    async def whole(self) -> None:
        await self.begin()
        await self.take_all()
        await self.end()

    async def begin(self) -> None:
        await self._set(self.target, "IMPORTING", await self.cluster.id_of(self.source))
        await self._set(self.source, "MIGRATING", await self.cluster.id_of(self.target))

    async def take(self, *keys: bytes | str) -> None:
        words = ("MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS")
        await self.cluster.ask(self.source, *words, *keys)

    async def take_all(self) -> None:
        await self.take(*await self.cluster.ask(self.source, "CLUSTER", "GETKEYSINSLOT", SLOT, 100))

    async def end(self) -> None:
        for node in (self.target, self.source):
            await self._set(node, "NODE", await self.cluster.id_of(self.target))

    async def give_up(self) -> None:
        for node in (self.source, self.target):
            await self._set(node, "STABLE")

    async def _set(self, node: RunningServer, *words: str) -> None:
        await self.cluster.ask(node, "CLUSTER", "SETSLOT", SLOT, *words)


@pytest.fixture
async def move(cluster: RunningCluster) -> Move:
    source = await cluster.owner(Queue.stream)
    return Move(cluster, source, next(node for node in cluster.nodes[:3] if node is not source))


async def test_a_slot_moves_under_a_queue_and_no_entry_is_lost_or_doubled(cluster: RunningCluster, move: Move) -> None:
    async with connected(cluster) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(3)
        await move.begin()
        added = await queue.add(2)  # the key is still where it was
        # Keys that aren't there yet may be at the target: a script over several can't run, and says so.
        during = await steps.look(client)
        assert isinstance(during, RedisProblem) and during.kind is ProblemKind.CLUSTER
        await move.take_all()
        added += await queue.add(2)  # ASK: each goes to the target, once
        await move.end()
        added += await queue.add(2)  # MOVED
        assert (await queue.snapshot()).undelivered == 9
        assert [entry_id for entry_id, _ in await queue.entries()][3:] == added
        # A client that learns of the cluster only now.
        async with connected(cluster, RedisMode.CLUSTER) as late:
            assert (await Queue(late).snapshot()).undelivered == 9
        await move.back.whole()


async def test_a_redrive_while_the_slot_moves_puts_each_letter_back_once(cluster: RunningCluster, move: Move) -> None:
    """Of keys that aren't there a script learns nothing then, unless it was told of them: that of a result is one."""
    async with connected(cluster) as client:
        queue = Queue(client)
        await queue.create()
        await kill(queue, 3)
        await move.begin()
        try:
            assert await redrive(client, spec(), await queue.letters()) == 3
        finally:
            await move.give_up()
        assert await queue.letters() == [] and len(await queue.entries()) == 3 + 3


async def test_who_waits_for_a_task_that_ends_while_the_slot_moves_is_told(cluster: RunningCluster, move: Move) -> None:
    """What a script names is all there, and it runs; the keys of results, which it doesn't name, have gone ahead."""
    async with connected(cluster) as client:
        queue = Queue(client)
        await queue.create()
        ids = await queue.add(6)
        limits = {"results_ttl": 60.0, "max_deliveries": 1}
        a, b = store(client, **limits), store(client, "b", **limits)
        done, refused, failed, stuck, _, left = await take(a)
        ends = ack(done), (refused, Settlement("dead", ("handler", "no"))), retry(failed)
        hands_on = ack(left, emits=(Emit("{orders}:next", [("n", "1")]),))
        await expire(queue, stuck.id)
        await client.sadd(KEYS.outboxes, "far")
        await client.sadd(KEYS.cordon, "pod-2")
        for stream in (KEYS.dlq, KEYS.returns, "{orders}:next"):
            await client.xadd(stream, {"task": "x"})
        for scores in (KEYS.due, KEYS.done):
            await client.zadd(scores, {"0-1": 1e15})
        await client.hset(KEYS.attempts, "0-1", "1")
        died = partial(release, client, spec(**limits), "a", math.inf, "Error")
        await move.begin()
        try:
            await move.take(*(KEYS.results + each for each in ids[:5]))
            for call in (*(settle(a, hands_on, end) for end in ends), claim(b), died()):
                with pytest.raises(RedisProblem) as caught:
                    await call
                assert caught.value.kind is ProblemKind.CLUSTER
            assert len(await queue.pending()) == 5 and len(await queue.letters()) == 1
            assert await client.xlen("{orders}:next") == 1 + 1, "what was done before is done"
        finally:
            await move.take_all()
            await move.end()
            await move.back.whole()
        await settle(a, *ends)
        await claim(b)
        await died()
        states = [(await look_up(client, KEYS, each)).state for each in ids]
        assert states == ["done", "dead", "dead", "dead", "dead", "done"]


async def test_a_failover_is_unknown_then_heals_and_takes_no_live_work(cluster: RunningCluster) -> None:
    elsewhere = "x"
    gone = await cluster.owner(Queue.stream)
    while await cluster.owner(elsewhere) is gone:
        elsewhere += "x"
    seed = next(node for node in cluster.nodes[:3] if node is not gone)
    async with connect(f"{seed.url}?socket_timeout=1&socket_connect_timeout=1") as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(5)
        await queue.read(count=2)
        await queue.age(61)
        await queue.settle(spec())
        await client.xgroup_create(elsewhere, "workers", "0", mkstream=True)
        assert isinstance(await steps.look(client), Snapshot)
        await _replicated(cluster, gone)
        gone.kill()
        try:
            answers = await steps.looks_until_healed(client)
            assert isinstance(answers[0], RedisProblem)
            assert isinstance(await steps.look(client, elsewhere), Snapshot)
            healed = answers[-1]
            assert isinstance(healed, Snapshot) and (healed.undelivered, healed.pending) == (3, 2)
            report = await sweep(client, spec())
            assert (report.returned, report.quiet.reason) == (0, QuietReason.RESTART)
            assert len(await queue.pending()) == 2
        finally:
            await asyncio.to_thread(gone.start)
            await cluster.until(cluster.is_whole)


async def test_the_urls_own_node_may_be_gone(cluster: RunningCluster) -> None:
    async with connected(cluster, RedisMode.CLUSTER) as client:
        await Queue(client).create()
        assert isinstance(await steps.look(client), Snapshot)
        cluster.nodes[0].kill()
        try:
            await steps.looks_until_healed(client)
        finally:
            await asyncio.to_thread(cluster.nodes[0].start)
            await cluster.until(cluster.is_whole)


async def _replicated(cluster: RunningCluster, primary: RunningServer) -> None:
    """Until the replica has all that the primary has."""

    async def caught_up() -> bool:
        async with cluster.talk(primary) as client:
            state = await client.info("replication")
        return bool(state["slave0"]["offset"] == state["master_repl_offset"])

    await cluster.until(caught_up)


@MODES
async def test_every_node_is_logged_in_to_with_what_the_file_says_now(
    cluster: RunningCluster, mode: RedisMode, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    names = [f"queue-{n}" for n in range(20)]

    async def let_in(password: str) -> None:
        for node in cluster.nodes:
            user = ("ACL", "SETUSER", "app", "on", "resetpass", f">{password}", "~*", "+@all")
            await cluster.ask(node, *user)
            await cluster.ask(node, "CLIENT", "KILL", "USER", "app")

    async def look() -> set[str]:
        answers = await take_snapshots(client, [SnapshotRequest(name, "workers") for name in names])
        return {answer.kind if isinstance(answer, RedisProblem) else "known" for answer in answers}

    await let_in("first")
    file.write_text(cluster.url.replace("://", "://app:first@"))
    async with connect(UrlFile(str(file), "STREAMQUEUE_REDIS_URL_FILE"), mode=mode) as client:
        assert await look() == {"known"}
        assert len(primaries(client)) == 3
        await let_in("second")
        await look()  # the cut connections are noticed
        assert await look() == {ProblemKind.AUTH}
        file.write_text(cluster.url.replace("://", "://app:second@"))
        assert await look() == {"known"}
    for node in cluster.nodes:
        await cluster.ask(node, "ACL", "DELUSER", "app")


async def test_a_user_with_least_rights_may_learn_the_nodes(cluster: RunningCluster) -> None:
    """docs/security.md has the rights at one server, and what a cluster asks for besides."""

    async def looked(*more: str) -> Snapshot | RedisProblem:
        words = ("reset", "on", ">pw", *rights("operator", "redis-7.0"), *more)
        for node in cluster.nodes:
            await cluster.ask(node, "ACL", "SETUSER", "app", *words)
        async with connect(cluster.url.replace("://", "://app:pw@"), mode=RedisMode.CLUSTER) as client:
            return await steps.look(client)

    extra = re.findall(r"On a Redis Cluster .* needs `(.*)`", PAGE.read_text())[0].split()
    alone = await looked()
    assert isinstance(alone, RedisProblem) and alone.kind is ProblemKind.UNSUPPORTED
    for asking in (extra[:1], extra):  # while a slot is moved a command is asked for
        assert isinstance(await looked(*asking), Snapshot)
        told = await cluster.ask(cluster.nodes[0], "ACL", "DRYRUN", "app", "ASKING")
        assert (told == b"OK") is (asking == extra)
    for node in cluster.nodes:
        await cluster.ask(node, "ACL", "DELUSER", "app")
