"""Kubernetes events, written beside the rounds: a slow API server holds up no decision for want of one."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from streamqueue.api.timestamps import rfc3339
from streamqueue.controller.cluster.kube import Kube, KubeError
from streamqueue.controller.kinds import STREAM_QUEUES, Body

log = logging.getLogger(__name__)


CAPACITY = 1000  # events that wait to be written; beyond it the newest are only logged
RETRY = 1.0  # seconds
MAX_AGE = 300.0  # seconds after which an event is no news
# Of one queue, as of one object in client-go: a Redis that comes and goes by the second must not fill etcd. Warnings
# have their own share: a queue that wakes and sleeps every minute must not use it up.
BURST = 25  # events
REFILL = 300.0  # seconds for one more

_MESSAGE_LENGTH = 1024  # the API's limit


class Recorder:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._queue: asyncio.Queue[tuple[float, Body]] = asyncio.Queue(CAPACITY)
        # By uid and kind: events that aren't refilled yet, at this monotonic time.
        self._said: dict[tuple[str, str], tuple[float, float]] = {}

    def say(self, queue: Body, kind: str, reason: str, message: str) -> None:
        """Log it, and have it written as an event on the queue, unless that had many of late.

        `kind` is Normal or Warning.
        """
        metadata = queue["metadata"]
        level = logging.WARNING if kind == "Warning" else logging.INFO
        log.log(level, "%s/%s %s: %s", metadata["namespace"], metadata["name"], reason, message)
        if self._is_too_often((metadata["uid"], kind)):
            return
        try:
            self._queue.put_nowait((time.monotonic(), _event(queue, kind, reason, message)))
        except asyncio.QueueFull:
            log.warning("too many events wait for the API server: this one is only logged")

    def _is_too_often(self, share: tuple[str, str]) -> bool:
        now = time.monotonic()
        events, at = self._said.pop(share, (0.0, now))
        events = max(0.0, events - (now - at) / REFILL)
        is_too_often = events > BURST - 1
        self._said[share] = events if is_too_often else events + 1, now
        oldest = next(iter(self._said))
        if now - self._said[oldest][1] > BURST * REFILL:
            del self._said[oldest]
        return is_too_often

    async def run(self) -> None:
        """Write events for ever; one that isn't taken goes behind the others and is tried again."""
        while True:
            said_at, event = await self._queue.get()
            if time.monotonic() - said_at > MAX_AGE:
                continue
            try:
                await self._kube.emit(event)
            except KubeError as error:
                if error.status in (403, 404, 409, 422):  # the namespace is going, or we may not
                    log.warning("event not written: %s", error)
                    continue
                with suppress(asyncio.QueueFull):
                    self._queue.put_nowait((said_at, event))
                await asyncio.sleep(RETRY)


def _event(queue: Body, kind: str, reason: str, message: str) -> Body:
    metadata, now = queue["metadata"], rfc3339(time.time())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
        "type": kind,
        "reason": reason,
        "message": message[:_MESSAGE_LENGTH],
        "involvedObject": {
            "apiVersion": STREAM_QUEUES.api_version,
            "kind": STREAM_QUEUES.kind,
            **{key: metadata[key] for key in ("name", "namespace", "uid")},
        },
        "source": {"component": "streamqueue"},
        "reportingComponent": "streamqueue",
        "reportingInstance": "streamqueue",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
