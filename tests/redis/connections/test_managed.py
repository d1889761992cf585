"""What managed services do: addresses that no certificate names, blocked commands, one endpoint before many slots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue.api.spec import RedisMode
from streamqueue.maintenance import sweep
from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, SnapshotRequest, connect, take_snapshots
from streamqueue.streams.connection import primaries
from streamqueue.streams.durability import read_durability
from streamqueue.streams.wait import wait_for_entries
from tests.redis.connections import steps
from tests.redis.queue import Queue, spec
from tests.redis.servers import tls
from tests.redis.servers.cluster import SLOTS, RunningCluster
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port

# Clusters differ by the server's generation, not by each version.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

Start = Callable[..., "Announcing"]


class Announcing:
    """A TLS cluster whose nodes announce addresses that `names`, their certificate, doesn't hold.

    `one_port`: the same port at each address, and only the first node is at localhost, too.
    """

    def __init__(self, server: Server, folder: Path, names: str, one_port: bool = False) -> None:
        port = free_port()
        self.ca = tls.authority(folder, "private-ca")
        signed = tls.certificate(folder, self.ca, names)

        def settings(i: int) -> dict[str, str]:
            address = f"127.0.0.{i + 2}"
            bound = address if one_port and i else f"127.0.0.1 {address}"
            announced = {"bind": bound, "cluster-announce-ip": address}
            secure = tls.settings(signed, self.ca, port if one_port else free_port())
            del secure["port"]  # the plain one stays, to put the cluster together by
            return secure | announced | {"tls-cluster": "yes"}

        def talk(node: RunningServer) -> Redis:
            return Redis(host=node.settings["bind"].split()[0], port=node.port, protocol=2)

        self.cluster = RunningCluster(server, replicas=False, settings=settings, talk=talk)

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.cluster.nodes[0].settings['tls-port']}"


@pytest.fixture
async def announcing(server: Server, tmp_path: Path) -> AsyncIterator[Start]:
    if not server.tls:
        pytest.skip("no TLS")
    started: list[Announcing] = []

    def start(names: str, one_port: bool = False) -> Announcing:
        started.append(Announcing(server, tmp_path, names, one_port))
        return started[-1]

    yield start
    for running in started:
        running.cluster.close()


@pytest.mark.parametrize("mode", [RedisMode.AUTO, RedisMode.CLUSTER])
async def test_nodes_are_verified_by_the_name_that_the_user_gave(announcing: Start, mode: RedisMode) -> None:
    running = await asyncio.to_thread(announcing, "DNS:localhost")
    await running.cluster.form()
    async with connect(running.url, mode=mode, ca_data=running.ca.read_text()) as client:
        requests = [SnapshotRequest(f"queue-{n}", "workers") for n in range(50)]
        assert all(isinstance(answer, Snapshot) for answer in await take_snapshots(client, requests))
        assert len(primaries(client)) == 3
        hosts = {node.connection_pool.connection_kwargs["host"] for node in primaries(client)}
        assert hosts == {"localhost"}


@pytest.mark.on("redis-7.0")
async def test_nodes_with_one_port_are_reached_where_they_announce(announcing: Start) -> None:
    running = await asyncio.to_thread(announcing, "DNS:localhost", one_port=True)
    await running.cluster.form()
    async with connect(running.url, mode=RedisMode.CLUSTER, ca_data=running.ca.read_text()) as client:
        requests = [SnapshotRequest(f"queue-{n}", "workers") for n in range(50)]
        assert all(isinstance(answer, Snapshot) for answer in await take_snapshots(client, requests))
        hosts = {node.connection_pool.connection_kwargs["host"] for node in primaries(client)}
        assert hosts == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}


async def test_verification_stays_on(announcing: Start) -> None:
    running = await asyncio.to_thread(announcing, "DNS:elsewhere")
    await running.cluster.form()
    async with connect(running.url, mode=RedisMode.CLUSTER, ca_data=running.ca.read_text()) as client:
        answer = await steps.look(client)
        assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS


@pytest.fixture
async def one_endpoint(server: Server) -> AsyncIterator[RunningServer]:
    """As Azure Managed Redis with the Enterprise policy: keys have slots, and nobody may ask whose they are."""
    running = await asyncio.to_thread(RunningServer, server, {"cluster-enabled": "yes"})
    try:
        async with Redis(port=running.port, protocol=2) as admin:
            await admin.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS))
            while b"cluster_state:ok" not in await admin.execute_command("CLUSTER", "INFO"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            blocked = ("-cluster", "-config", "-select", "-command", "-client", "-debug", "-save", "-bgsave")
            await admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", *blocked)
        yield running
    finally:
        running.close()


@pytest.mark.parametrize("mode", [RedisMode.AUTO, RedisMode.STANDALONE])
async def test_one_endpoint_that_hides_its_slots(one_endpoint: RunningServer, mode: RedisMode) -> None:
    async with connect(one_endpoint.url.replace("://", "://app:pw@"), mode=mode) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(3)
        await queue.read("pod-1", count=1)
        requests = [SnapshotRequest(name, "workers") for name in (Queue.stream, "other", "third")]
        assert all(isinstance(answer, Snapshot) for answer in await take_snapshots(client, requests))
        assert (await queue.snapshot()).pending == 1
        assert (await sweep(client, spec())).quiet.restart_detection
        with pytest.raises(RedisProblem) as caught:
            await wait_for_entries(client, {Queue.stream: "0", "other": "0"}, 0.1)
        assert caught.value.kind is ProblemKind.CLUSTER  # so that these queues are polled
        assert isinstance(await steps.look(client), Snapshot)
        assert (await read_durability(client)).persistent is None


async def test_a_cluster_that_was_asked_for_and_hides_its_slots_is_named(one_endpoint: RunningServer) -> None:
    async with connect(one_endpoint.url.replace("://", "://app:pw@"), mode=RedisMode.CLUSTER) as client:
        answer = await steps.look(client)
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.UNSUPPORTED
    assert "+cluster|slots" in answer.message and "set redis.mode to standalone" in answer.message
