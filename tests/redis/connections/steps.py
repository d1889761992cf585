"""What the tests of failovers have in common."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis

from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, SnapshotRequest, take_snapshots

AWAY = {ProblemKind.UNREACHABLE, ProblemKind.TIMEOUT, ProblemKind.CLUSTER, ProblemKind.LOADING}
PATIENCE = 30.0  # seconds for a failover


async def look(client: Redis, stream: str = "orders") -> Snapshot | RedisProblem:
    (answer,) = await take_snapshots(client, [SnapshotRequest(stream, "workers")])
    return answer


async def looks_until_healed(client: Redis) -> list[Snapshot | RedisProblem]:
    """Every answer from now until the first that knows; all before it are unknown, with a reason that passes."""
    answers: list[Snapshot | RedisProblem] = []
    deadline = time.monotonic() + PATIENCE
    while not answers or isinstance(answers[-1], RedisProblem):
        assert time.monotonic() < deadline, answers[-3:]
        answers.append(await look(client))
        await asyncio.sleep(0.05)
    problems = [answer for answer in answers if isinstance(answer, RedisProblem)]
    assert {problem.kind for problem in problems} <= AWAY, problems
    return answers
