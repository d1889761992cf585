"""`python3 -m streamqueue.maintenance`: one pass over one queue, for the reclaim CronJob.

Reads STREAMQUEUE_SPEC (the object's spec as JSON) and STREAMQUEUE_REDIS_URL. Prints one line. Exit code 0: done;
1: Redis had a problem; 2: the environment cannot be used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec
from streamqueue.maintenance.sweep import sweep
from streamqueue.streams import RedisProblem, connect
from streamqueue.streams.connection import credentials_for


def main(environment: Mapping[str, str]) -> int:
    try:
        spec, url = _settings(environment)
    except ValueError as exc:
        print(f"streamqueue maintenance: {exc}", file=sys.stderr)
        return 2
    try:
        print(f"{spec.stream}/{spec.group}: {asyncio.run(_pass(spec, url))}")
    except RedisProblem as problem:
        print(f"{spec.stream}/{spec.group}: {problem.kind}: {problem.message}", file=sys.stderr)
        return 1
    return 0


async def _pass(spec: QueueSpec, url: str) -> str:
    redis = spec.redis
    ca_file = os.environ.get("STREAMQUEUE_REDIS_CA_FILE")
    async with connect(url, mode=redis.mode, ca_file=ca_file, credentials=credentials_for(redis.auth)) as client:
        return (await sweep(client, spec)).summary()


def _settings(environment: Mapping[str, str]) -> tuple[QueueSpec, str]:
    for name in ("STREAMQUEUE_SPEC", "STREAMQUEUE_REDIS_URL"):
        if not environment.get(name):
            raise ValueError(f"{name} is not set")
    try:
        return parse_spec(json.loads(environment["STREAMQUEUE_SPEC"])), environment["STREAMQUEUE_REDIS_URL"]
    except json.JSONDecodeError as exc:
        raise ValueError(f"STREAMQUEUE_SPEC is no JSON: {exc}") from None
    except SpecError as exc:
        raise ValueError(f"STREAMQUEUE_SPEC: {exc}") from None


if __name__ == "__main__":
    sys.exit(main(os.environ))
