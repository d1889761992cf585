"""The health check of docs/operations.md, on the Lua at hand: that of Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.asyncio import Redis

PAGE = Path(__file__).parents[2] / "docs/operations.md"
READY = {"type": "Ready", "status": "True", "reason": "Working", "message": "works"}

pytestmark = pytest.mark.on("redis-7.0")


async def health(redis: Redis, status: dict[str, Any] | None = None, **scaling: Any) -> tuple[str, str]:
    block = PAGE.read_text().split("```yaml\ndata:\n")[1].split("```")[0]
    (check,) = yaml.safe_load(block).values()
    queue = {"metadata": {"generation": 2}, "spec": {"scaling": scaling}, "status": status}
    queue = {name: value for name, value in queue.items() if value}
    script = f"local obj = cjson.decode(ARGV[1]) return cjson.encode((function() {check} end)())"
    told = json.loads(await redis.eval(script, 0, json.dumps(queue)))  # type: ignore[no-untyped-call]
    return told["status"], told["message"]


def shown(ready: str = "True", generation: int = 2) -> dict[str, Any]:
    conditions = [{"type": "Accepted", "status": "True"}, {**READY, "status": ready, "message": f"ready: {ready}"}]
    return {"observedGeneration": generation, "message": "0 -> 1", "conditions": conditions}


async def test_what_argo_cd_says_of_a_queue(redis: Redis) -> None:
    assert await health(redis, shown()) == ("Healthy", "0 -> 1")
    assert await health(redis, shown("False")) == ("Degraded", "ready: False")
    assert await health(redis, shown("False"), paused=True) == ("Degraded", "ready: False")
    assert await health(redis, shown("Unknown")) == ("Progressing", "ready: Unknown")
    assert await health(redis, shown(), paused=True) == ("Suspended", "0 -> 1")
    assert await health(redis, shown(), paused=False, targetWait="30s") == ("Healthy", "0 -> 1")
    for unseen in (None, shown("False", 1)):
        assert (await health(redis, unseen))[0] == "Progressing"
