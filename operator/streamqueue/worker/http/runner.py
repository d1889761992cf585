"""The loop of the SDK, with a handler that is reached by HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from streamqueue.worker.consumer import Consumer
from streamqueue.worker.context import Context
from streamqueue.worker.errors import DeadLetter, HandlerCrash, Retry
from streamqueue.worker.handler import Handler
from streamqueue.worker.http.client import Client, NotListening, Reply
from streamqueue.worker.http.event import request_of
from streamqueue.worker.http.listening import Listening
from streamqueue.worker.http.reply import Unusable, check_tasks, judge, result_of
from streamqueue.worker.http.settings import Target
from streamqueue.worker.metrics.counters import Counters
from streamqueue.worker.reconnecting import Reconnecting
from streamqueue.worker.settings import Settings

log = logging.getLogger(__name__)


class Runner:
    """Runs the tasks of one queue on one handler: `await serve()`, and `stop()` from a signal handler."""

    def __init__(self, settings: Settings, target: Target) -> None:
        self.settings = settings
        self._target = target
        self._consumer: Consumer | None = None
        self._stopping = asyncio.Event()

    async def serve(self) -> None:
        """Until stop(). Takes nothing while the handler does not listen. Raises as Consumer.run does."""
        settings = self.settings
        reconnecting = Reconnecting(self._stopping)
        async with reconnecting.connected(settings) as redis, Client(self._target.url, settings.concurrency) as client:
            if redis is None:
                return
            consumer = self._consumer = Consumer(redis, settings, Handler(self._deliverer(client), settings.timeout))
            self._listening = Listening(self._target.address, consumer.pause, consumer.resume)
            watch = asyncio.create_task(self._listening.keep())
            log.info("%s takes tasks from %s, group %s", consumer.name, settings.stream, settings.group)
            try:
                await consumer.run()
            finally:
                watch.cancel()

    def stop(self) -> None:
        """Take no more, finish what runs; once more: hand it back now."""
        self._stopping.set()
        if self._consumer:
            self._consumer.stop()

    @property
    def counters(self) -> Counters:
        """What became of this process's runs so far."""
        return self._consumer.counters if self._consumer else Counters()

    def _deliverer(self, client: Client) -> Callable[..., Any]:
        stream, target = self.settings.stream, self._target

        async def deliver(task: dict[str, bytes], ctx: Context) -> Any:
            try:
                reply = await client.post(request_of(ctx, task, stream, target))
            except NotListening:
                self._listening.lost()
                raise Retry(f"the handler does not accept connections at {target.url}", counted=False) from None
            except HandlerCrash:
                self._listening.lost()  # it may have been closed for good, or until its container is back
                raise
            judge(reply.status, reply.headers, reply.body, time.time())
            return self._result(ctx, reply)

        return deliver

    def _result(self, ctx: Context, reply: Reply) -> Any:
        """The work is done: a result that cannot be kept is logged, not retried. One that cannot be handed on is lost
        work: a dead letter.
        """
        if not (self.settings.results_ttl or self.settings.next_stream):
            return None
        try:
            result = result_of(reply.headers.get("Content-Type", ""), reply.body, reply.is_whole)
            if self.settings.next_stream:
                check_tasks(result)
        except Unusable as exc:
            if self.settings.next_stream:
                raise DeadLetter(f"the reply cannot be a task of {self.settings.next_stream}: {exc}") from None
            ctx.logger.warning("HTTP %d, but the result is not kept: %s", reply.status, exc)
            return None
        return result
