"""No script is left out of the tests in which each of its calls fails; and scripts that the server has forgotten."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue.streams import enqueue, outbox, tasks
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.script import TRIES, Script
from tests.redis import test_atomicity, test_failing_reads
from tests.redis.failing import scripts
from tests.redis.worker import test_task_atomicity


def test_each_script_is_made_to_fail() -> None:
    covered = {(module.__name__, name) for module, name, _ in test_atomicity.OPERATIONS.values()}
    covered |= {(module.__name__, name) for module, name, _ in test_failing_reads.READS.values()}
    covered |= {(tasks.__name__, name) for name, _ in test_task_atomicity.OPERATIONS.values()}
    # These have a test of their own beside them.
    covered |= {(enqueue.__name__, "_ENQUEUE"), (enqueue.__name__, "_PROMOTE")}
    covered.add(("streamqueue.maintenance.replay", "_SCRIPT"))
    covered |= {(outbox.__name__, "_DELIVER"), (outbox.__name__, "_CLEAR")}
    covered.add(("streamqueue.streams.cordon", "_CORDON"))
    covered.add(("streamqueue.streams.reach", "_ASK"))  # which calls nothing
    assert scripts() == covered


async def test_a_server_that_restarts_between_a_load_and_the_call(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script("return 7")
    loads = 0
    load = Script.load

    async def load_and_restart(self: Script, client: Redis) -> None:
        nonlocal loads
        await load(self, client)
        loads += 1
        if loads < TRIES:
            await client.script_flush()  # what a restart does to scripts

    monkeypatch.setattr(Script, "load", load_and_restart)
    await redis.script_flush()
    with pytest.raises(RedisProblem) as raised:
        await script(redis, [], [])
    assert raised.value.kind is ProblemKind.UNREACHABLE, "worth another try, as a producer makes it"
    assert await script(redis, [], []) == 7
    await redis.script_flush()
    loads = TRIES - 2
    assert await script(redis, [], []) == 7
