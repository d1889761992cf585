"""Counts what was taken from workers that live: their tasks may run twice.

The script of maintenance notes each return, whoever runs it: the reclaim CronJob knows no pods, and the operator isn't
always there. Which of the owners live the operator alone can tell: it counts.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from redis.asyncio import Redis as Client

from streamqueue.api.keys import Keys
from streamqueue.api.timestamps import epoch
from streamqueue.controller.cluster.store import Key
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods.consumers import pod_of
from streamqueue.controller.pods.crash import reader
from streamqueue.controller.status import metrics
from streamqueue.maintenance import Cause, Return, take_returns
from streamqueue.streams.errors import RedisProblem

log = logging.getLogger(__name__)


async def count(client: Client, keys: Keys, key: Key, pods: Mapping[str, Body], skew: float) -> None:
    """Move what was noted since the last round into the metric; what can't be had now is counted later."""
    try:
        returns = await take_returns(client, keys)
    except RedisProblem as problem:
        log.warning("%s: what came back from live workers isn't counted yet: %s", key[1], problem)
        return
    for cause, number in from_live(returns, pods, skew).items():
        metrics.LIVE_RETURNS.labels(*key, cause).inc(number)


def from_live(returns: Iterable[Return], pods: Mapping[str, Body], skew: float) -> Counter[Cause]:
    """Of the returns those whose owner runs on, by cause: the process that was handed the entry is still there.

    `pods` by name; `skew`: seconds by which the server's clock is ahead of ours. Nothing is known of a consumer that
    is named after no pod of these. Pure.
    """
    return Counter(
        found.cause
        for found in returns
        if (pod := pods.get(pod_of(found.consumer))) and _ran_at(pod, found.delivered_at - skew)
    )


def _ran_at(pod: Body, moment: float) -> bool:
    """Whether the container that reads the stream has run since before `moment`, in epoch seconds."""
    running = [status.get("state", {}).get("running") for status in reader(pod)]
    return any(state and epoch(state["startedAt"]) <= moment for state in running)
