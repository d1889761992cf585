"""A password reaches no log, no condition and no text of an error, whichever way the connection fails."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from streamqueue import Queue as Producer
from streamqueue.api.spec import RedisMode
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import Kube
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.status.assess import Facts
from streamqueue.controller.status.report import status
from streamqueue.controller.trouble import trouble_of
from streamqueue.maintenance import sweep
from streamqueue.streams import ProblemKind, RedisProblem, connect, ensure_group
from streamqueue.streams.connection import primaries
from tests.redis.connections import steps
from tests.redis.queue import Queue, spec
from tests.redis.servers.cluster import RunningCluster
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.servers.sentinel import RunningSentinels
from tests.redis.worker.pod import until, working
from tests.unit.controller.bodies import queue

# One server of each kind: the texts are those of the client.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

SECRET = "s3cr3t-Pa55"

# The URL, the mode, and what is to be said; {} is the server's address, {nobody} one where none is.
FAILURES = [
    (f"redis://:{SECRET}@{{}}", "auto", {ProblemKind.AUTH}),
    (f"redis://somebody:{SECRET}@{{}}", "standalone", {ProblemKind.AUTH}),
    (f"redis://somebody:{SECRET}@{{}}", "cluster", {ProblemKind.AUTH}),
    (f"redis://app:{SECRET}@{{}}", "cluster", {ProblemKind.UNSUPPORTED}),  # the right password, but no cluster
    (f"redis://app:{SECRET}@{{}}/99", "auto", {ProblemKind.OTHER}),  # there is no such database
    (f"redis://app:{SECRET}@{{nobody}}", "auto", {ProblemKind.UNREACHABLE}),
    (f"redis://app:{SECRET}@nowhere.invalid", "cluster", {ProblemKind.UNREACHABLE}),
    (
        f"rediss://app:{SECRET}@{{}}?socket_connect_timeout=1",
        "auto",
        {ProblemKind.TLS, ProblemKind.UNREACHABLE, ProblemKind.TIMEOUT},
    ),
    (f"redis+sentinel://app:{SECRET}@{{nobody}}/mymaster", "auto", {ProblemKind.UNREACHABLE}),
    (f"redis+sentinel://app:x@{{}}/mymaster?sentinel_password={SECRET}", "auto", {ProblemKind.AUTH}),
    (f"redis://app:{SECRET}@{{}}", "sentinel", {ProblemKind.BAD_URL}),
    (f"redis+sentinel://app:{SECRET}@{{}}", "auto", {ProblemKind.BAD_URL}),
    (f"redis://app:{SECRET}@{{}}:port", "auto", {ProblemKind.BAD_URL}),
]


@pytest.fixture
async def address(own_server: RunningServer) -> str:
    async with connect(own_server.url) as admin:
        await admin.execute_command("ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "+@all")
        await admin.config_set("requirepass", "another")
    return f"127.0.0.1:{own_server.port}"


@asynccontextmanager
async def said(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Callable[[object], None]]:
    """`say(thing)` for what was seen; at the end nothing of it, and no log line, holds the secret."""
    caplog.set_level(logging.DEBUG)
    heard: list[str] = []

    def say(thing: object) -> None:
        heard.extend((str(thing), repr(thing)))
        link = thing if isinstance(thing, BaseException) else None
        while link is not None:
            heard.extend((repr(link.args), *traceback.format_exception(link)))
            link = link.__cause__ or link.__context__

    yield say
    heard += [record.getMessage() for record in caplog.records] + [caplog.text]
    assert heard
    assert not [text for text in heard if SECRET in text]


def as_id(value: str | set[ProblemKind]) -> str:
    """The same in each process: a set has no order."""
    return value.replace(SECRET, "…") if isinstance(value, str) else "|".join(sorted(value))


@pytest.mark.parametrize(("url", "mode", "kinds"), FAILURES, ids=as_id)
async def test_no_failure_shows_the_password(
    address: str, caplog: pytest.LogCaptureFixture, url: str, mode: str, kinds: set[ProblemKind]
) -> None:
    filled = url.format(address, nobody=f"127.0.0.1:{free_port()}")
    async with said(caplog) as say:
        if kinds == {ProblemKind.BAD_URL}:
            with pytest.raises(RedisProblem) as refused:
                connect(filled, mode=RedisMode(mode))
            assert refused.value.kind is ProblemKind.BAD_URL
            say(refused.value)
            return
        client = connect(filled, mode=RedisMode(mode))
        async with client:
            say(client)
            answer = await asyncio.wait_for(steps.look(client), 12)
            assert isinstance(answer, RedisProblem) and answer.kind in kinds, answer
            say(answer)
            shown = status(Holdings(queue=queue()), Facts(redis=trouble_of(answer)), {}, 0.0)
            say(shown)
            for each in shown["conditions"]:
                Recorder(cast(Kube, None)).say(queue(), "Warning", each["reason"], each["message"])
            for call in (sweep(client, spec()), ensure_group(client, Queue.stream, Queue.group)):
                with pytest.raises(RedisProblem) as caught:
                    await call
                say(caught.value)


@pytest.mark.on("redis-7.0")
async def test_a_primary_that_sentinels_announce_shows_no_password(
    sentinels: RunningSentinels, caplog: pytest.LogCaptureFixture
) -> None:
    async with said(caplog) as say, connect(sentinels.url.replace("://", f"://somebody:{SECRET}@")) as client:
        answer = await steps.look(client)
        assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.AUTH
        say(answer)
        say(client)
        sentinels.primary.kill()
        answer = await steps.look(client)
        assert isinstance(answer, RedisProblem)
        say(answer)


@pytest.mark.on("redis-7.0")
async def test_a_node_that_a_cluster_announces_shows_no_password(
    cluster: RunningCluster, caplog: pytest.LogCaptureFixture
) -> None:
    first = await cluster.owner("orders-0")  # which node that is, a failover before may have changed
    await cluster.ask(first, "ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "+@all")
    url = first.url.replace("://", f"://app:{SECRET}@")
    async with said(caplog) as say, connect(url, mode=RedisMode.CLUSTER) as client:
        # The first node tells who the others are; they know no such user.
        answers = [await steps.look(client, f"orders-{n}") for n in range(12)]
        problems = [answer for answer in answers if isinstance(answer, RedisProblem)]
        assert {problem.kind for problem in problems} == {ProblemKind.AUTH} and len(problems) < len(answers)
        for each in problems:
            say(each)
        say(client)
        for node in primaries(client):
            say(node)
    await cluster.ask(first, "ACL", "DELUSER", "app")


async def test_workers_and_producers_show_no_password(address: str, caplog: pytest.LogCaptureFixture) -> None:
    async def handle(task: dict[str, str]) -> None: ...

    async with said(caplog) as say:
        url = f"redis://somebody:{SECRET}@{address}"
        async with Producer(url, Queue.stream, patience=0.2) as producer:
            with pytest.raises(RedisProblem) as caught:
                await producer.send({"n": "1"})
            say(caught.value)
            say(producer)
        async with working(url, handle) as worker:
            await until(lambda: caplog.records, "a line of the log")
            say(worker)


async def test_too_many_clients_are_said_as_such(own_server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(own_server.url) as first, connect(own_server.url, mode=RedisMode.CLUSTER) as second:
        await first.ping()
        await first.config_set("maxclients", "1")
        answers = [await steps.look(second) for _ in range(5)]
        # Who is turned away may find the connection closed before the reason could be read.
        kinds = {answer.kind for answer in answers if isinstance(answer, RedisProblem)}
        assert len([answer for answer in answers if isinstance(answer, RedisProblem)]) == 5
        assert ProblemKind.MAX_CLIENTS in kinds and kinds <= {ProblemKind.MAX_CLIENTS, ProblemKind.UNREACHABLE}
