"""Retention: forget what every group has acknowledged, past an age or a length."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from streamqueue.api.spec import QueueSpec, RetentionPolicy
from streamqueue.maintenance.report import SweepReport
from streamqueue.streams.script import Script

STEP = 10_000  # entries per script call: a script blocks the server

_SCRIPT = Script.beside(__package__, "clock.lua", "fields.lua", "needs.lua", "trim.lua")


async def trim(client: Redis, spec: QueueSpec, deadline: float, report: SweepReport) -> None:
    """Trim in steps until done or `deadline` (monotonic seconds). Raises RedisProblem."""
    retention = spec.retention
    if retention.policy is RetentionPolicy.NONE:
        return
    max_age = -1 if retention.max_age is None else int(retention.max_age * 1000)
    max_length = -1 if retention.max_length is None else retention.max_length
    more = True
    while more and time.monotonic() < deadline:
        removed, again, blockers = await _SCRIPT(client, [spec.stream], [spec.group, max_age, max_length, STEP])
        report.trimmed += removed
        report.trim_blocked_by = tuple(name.decode("utf-8", "replace") for name in blockers)
        more = bool(again)
