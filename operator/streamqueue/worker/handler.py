"""The user's function, called with its own kind of payload, in time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from streamqueue.worker.context import Context
from streamqueue.worker.errors import PayloadError
from streamqueue.worker.executors.threads import Threads
from streamqueue.worker.payload.decoding import decoder_of
from streamqueue.worker.payload.signatures import signature_of


class Overtime(Exception):
    """The handler took longer than its timeout."""


def overtime(timeout: float) -> Overtime:
    return Overtime(f"timeout after {timeout:g} s")


class Undecodable(Exception):
    """The entry does not fit the handler's parameter: it never will."""


class Handler:
    """`await handler(ctx)` runs the function on the context's entry.

    Raises what the function raises, or Undecodable. A coroutine function runs in the loop, a plain one in a thread,
    which cannot be stopped: cancelled, it is left alone, and its slot stays taken until it returns. `timeout` is
    seconds, for the caller to keep.
    """

    def __init__(self, function: Callable[..., Any], timeout: float) -> None:
        must_not_yield(function)
        self.timeout = timeout
        self.threads = Threads()
        self._function = function
        self._decode = decoder_of(function)
        self._wants_context = takes_context(function)
        self._is_async = inspect.iscoroutinefunction(function)

    async def __call__(self, ctx: Context) -> Any:
        try:
            task = self._decode(ctx.entry.fields)
        except PayloadError as exc:
            raise Undecodable(str(exc)) from None
        args = (task, ctx) if self._wants_context else (task,)
        if self._is_async:
            return await self._function(*args)
        try:
            return await awaited(await self.threads.call(self._function, *args))
        except asyncio.CancelledError:
            ctx.cancelled = True
            raise


def must_not_yield(function: Callable[..., Any]) -> None:
    """Raises TypeError for a generator: a call of it would run nothing."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__name__}() yields, so that a call of it runs nothing: return a list")


async def awaited(returned: Any) -> Any:
    """The result, also where a plain function (a decorator's wrapper, say) has returned a coroutine, which has not run
    before it is awaited. Raises TypeError for a generator, of which nothing has run either.
    """
    if isinstance(returned, (GeneratorType, AsyncGeneratorType)):
        raise TypeError("the handler returned a generator, of which nothing has run: return a list")
    return await returned if type(returned) is CoroutineType else returned


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether there is a second parameter that must be given. Raises TypeError where every call would fail."""
    signature = signature_of(function)
    first, *others = signature.parameters.values()
    wanted = any(each.default is each.empty for each in others[:1] if each.kind is not each.VAR_KEYWORD)
    wanted = wanted or (first.kind is first.VAR_POSITIONAL and bool(others))  # around a handler of any kind
    try:
        signature.bind(*(None, None)[: 1 + wanted])
    except TypeError as exc:
        called = "a task and its context" if wanted else "a task"
        raise TypeError(f"{function.__name__}() is called with {called}: {exc}") from None
    return wanted
