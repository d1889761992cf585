"""The user's function of many tasks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from streamqueue.streams.taken import NewEntries
from streamqueue.worker.context import Context
from streamqueue.worker.errors import PayloadError
from streamqueue.worker.executors.threads import Threads
from streamqueue.worker.handler import Undecodable, awaited, must_not_yield, takes_context
from streamqueue.worker.payload.decoding import Fields, item_decoder_of, texts, texts_of


class BatchHandler:
    """`await handler(tasks, contexts)` runs the function once, in the loop or in a thread as Handler does.

    `timeout` is seconds for one call, for the caller to keep.
    """

    def __init__(self, function: Callable[..., Any], timeout: float) -> None:
        must_not_yield(function)
        self.timeout = timeout
        self.threads = Threads()
        self._function = function
        self._decode = item_decoder_of(function)
        self.wants_contexts = takes_context(function)
        self._is_async = inspect.iscoroutinefunction(function)

    def tasks_of(self, entries: Iterable[Fields]) -> list[Any]:
        """The payloads. Raises Undecodable, or what the payload's own type raises, for the first without one."""
        try:
            return list(map(self._decode, entries))
        except PayloadError as exc:
            raise Undecodable(str(exc)) from None

    def tasks_of_new(self, new: NewEntries) -> list[Any]:
        """The same of entries that were taken together."""
        if self._decode is texts:
            with suppress(UnicodeDecodeError):  # of which the slow way says more
                return texts_of(new.rows)
        return self.tasks_of(new.fields())

    async def __call__(self, tasks: list[Any], contexts: list[Context]) -> Any:
        args = (tasks, contexts) if self.wants_contexts else (tasks,)
        if self._is_async:
            return await self._function(*args)
        return await awaited(await self.threads.call(self._function, *args))
