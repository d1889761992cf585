"""What is cancelled ends, though what it waits for comes in the same step. Without Redis: nothing is in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.auth.idp import IdentityProviderInterface
from redis.auth.token import SimpleToken, TokenInterface

from streamqueue.api.keys import Keys
from streamqueue.streams.connection.credentials import TokenCredentials
from streamqueue.streams.tasks import Limits, TaskStore
from streamqueue.worker.leases import Leases
from streamqueue.worker.reconnecting import Reconnecting
from streamqueue.worker.runs import Runs

Waiting = tuple[Coroutine[Any, Any, None], Callable[[], None]]


def heartbeat() -> Waiting:
    store = TaskStore(Redis(), Keys("orders", "workers"), "pod.1", Limits())
    leases = Leases(store, Runs(1), 60.0, lambda _: None, lambda _: None)
    return leases.keep(), leases.report_progress


def pause() -> Waiting:
    stopping = asyncio.Event()
    return Reconnecting(stopping, 60.0).pause(10), stopping.set


@pytest.mark.parametrize("waiting", [heartbeat, pause])
async def test_it_ends_though_its_event_comes_with_the_cancellation(waiting: Callable[[], Waiting]) -> None:
    coroutine, event = waiting()
    task = asyncio.create_task(coroutine)
    for _ in range(3):
        await asyncio.sleep(0)
    event()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()


class Source(IdentityProviderInterface):
    def request_token(self, force_refresh: bool = False) -> TokenInterface:
        return SimpleToken("token", 4e12, 0, {"oid": "id"})


async def test_a_token_is_kept_no_more_though_it_is_refused_with_the_cancellation() -> None:
    """asyncio.run() would wait for it for ever."""
    tokens = TokenCredentials(Source)
    await tokens.get_credentials_async()
    await asyncio.sleep(0)
    keeper = tokens._here._keeper
    assert keeper
    tokens.refused()
    keeper.cancel()
    await asyncio.wait({keeper}, timeout=5)
    assert keeper.cancelled()
