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

_MESSAGE_LENGTH = 1024  # the API's limit


class Recorder:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._queue: asyncio.Queue[tuple[float, Body]] = asyncio.Queue(CAPACITY)

    def say(self, queue: Body, kind: str, reason: str, message: str) -> None:
        """Log it, and have it written as an event on the queue; `kind` is Normal or Warning."""
        metadata = queue["metadata"]
        level = logging.WARNING if kind == "Warning" else logging.INFO
        log.log(level, "%s/%s %s: %s", metadata["namespace"], metadata["name"], reason, message)
        try:
            self._queue.put_nowait((time.monotonic(), _event(queue, kind, reason, message)))
        except asyncio.QueueFull:
            log.warning("too many events wait for the API server: this one is only logged")

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
