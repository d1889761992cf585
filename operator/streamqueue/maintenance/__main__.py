"""`python3 -m streamqueue.maintenance`: one pass over one queue, for the reclaim CronJob.

Reads STREAMQUEUE_SPEC (the object's spec as JSON), STREAMQUEUE_REDIS_URL, and with `next.redis`
STREAMQUEUE_NEXT_REDIS_URL. Prints one line. Exit code 0: done, but for results that wait for another endpoint; 1: Redis
had a problem; 2: the environment cannot be used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from redis.asyncio import Redis as Client

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec, Redis
from streamqueue.maintenance.relay import NO_NEXT_REDIS, NextRedis
from streamqueue.maintenance.sweep import sweep
from streamqueue.streams import RedisProblem, connect
from streamqueue.streams.connection import credentials_for


def main(environment: Mapping[str, str]) -> int:
    try:
        spec = _spec(environment)
    except ValueError as exc:
        print(f"streamqueue maintenance: {exc}", file=sys.stderr)
        return 2
    try:
        print(f"{spec.stream}/{spec.group}: {asyncio.run(_pass(spec, environment))}")
    except RedisProblem as problem:
        print(f"{spec.stream}/{spec.group}: {problem.kind}: {problem.message}", file=sys.stderr)
        return 1
    return 0


async def _pass(spec: QueueSpec, environment: Mapping[str, str]) -> str:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(spec.redis, environment, "STREAMQUEUE_REDIS"))
        next_redis: NextRedis = NO_NEXT_REDIS
        if spec.next_redis:
            try:
                there = _client(spec.next_redis, environment, "STREAMQUEUE_NEXT_REDIS")
                next_redis = await stack.enter_async_context(there)
            except RedisProblem as problem:
                next_redis = problem
        return (await sweep(client, spec, next_redis=next_redis)).summary()


def _client(redis: Redis, environment: Mapping[str, str], prefix: str) -> Client:
    url, ca_file = environment[f"{prefix}_URL"], environment.get(f"{prefix}_CA_FILE")
    return connect(url, mode=redis.mode, ca_file=ca_file, credentials=credentials_for(redis.auth))


def _spec(environment: Mapping[str, str]) -> QueueSpec:
    """Raises ValueError for an environment that can't be used."""
    _require(environment, "STREAMQUEUE_SPEC", "STREAMQUEUE_REDIS_URL")
    try:
        spec = parse_spec(json.loads(environment["STREAMQUEUE_SPEC"]))
    except json.JSONDecodeError as exc:
        raise ValueError(f"STREAMQUEUE_SPEC is no JSON: {exc}") from None
    except SpecError as exc:
        raise ValueError(f"STREAMQUEUE_SPEC: {exc}") from None
    if spec.next_redis:
        _require(environment, "STREAMQUEUE_NEXT_REDIS_URL")
    return spec


def _require(environment: Mapping[str, str], *names: str) -> None:
    for name in names:
        if not environment.get(name):
            raise ValueError(f"{name} is not set")


if __name__ == "__main__":
    sys.exit(main(os.environ))
