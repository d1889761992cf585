"""What the loop does about queues that end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from streamqueue.controller.cluster.kube import TERMINATING, KubeError
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.endpoints.endpoints import Endpoints
from streamqueue.controller.kinds import DEPLOYMENTS, STREAM_QUEUES
from streamqueue.controller.loop import Due, Loop
from streamqueue.controller.round import Rounds
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.status import metrics
from streamqueue.controller.status.assess import Facts
from tests.unit.controller.bodies import CREATED, KEY, holdings, owned, queue
from tests.unit.monitoring.scrape import Scraper, scraping


@pytest.fixture
async def scrape() -> AsyncIterator[Scraper]:
    async with scraping() as scraper:
        yield scraper
    metrics.forget(KEY)


@pytest.fixture
def store() -> Store:
    store = Store()
    store.show(STREAM_QUEUES, queue())
    store.show(DEPLOYMENTS, owned("Deployment"))
    return store


@pytest.fixture
def loop(store: Store) -> Loop:
    """It has looked at its queue once, and the next look is far off."""
    loop = Loop(store, cast(Endpoints, None), cast(Rounds, None))
    loop._runtimes[KEY] = Runtime("q1", due=time.monotonic() + 600, generation=1)
    metrics.show(KEY, Facts())
    return loop


def told_to_go(store: Store) -> None:
    """By somebody, while a finalizer of somebody's holds it."""
    body = queue(version=2)
    body["metadata"]["deletionTimestamp"] = CREATED
    store.show(STREAM_QUEUES, body)


async def test_a_queue_that_is_held_by_a_finalizer_leaves_no_old_figures(
    store: Store, loop: Loop, scrape: Scraper
) -> None:
    loop._dispatch()
    assert (await scrape()).series("orders")
    told_to_go(store)
    loop._dispatch()
    assert not (await scrape()).series("orders")
    assert loop.runtime(KEY) is None


async def test_a_round_under_way_leaves_none_either(store: Store, loop: Loop, scrape: Scraper) -> None:
    """It shows them at its end: they go after that."""
    runtime = loop.runtime(KEY)
    assert runtime
    runtime.busy = True
    told_to_go(store)
    loop._dispatch()
    metrics.show(KEY, Facts())
    runtime.rest(1.0)
    loop._dispatch()
    assert not (await scrape()).series("orders")


async def test_in_a_namespace_that_goes_little_is_tried_again(store: Store, loop: Loop) -> None:
    """Each try is a write that is refused; a queue of that name in the next such namespace is another one."""
    held, runtime = holdings(store), loop.runtime(KEY)
    assert runtime

    async def refused() -> Any:
        raise KubeError(403, TERMINATING, "namespace shop is being terminated")

    await loop._guard(Due(KEY, held, runtime), 1.0, refused)
    assert runtime.due > time.monotonic() + 50


async def test_a_queue_is_looked_at_when_it_is_due_or_was_changed_and_by_one_round_at_a_time(
    store: Store, loop: Loop
) -> None:
    def begins() -> bool:
        return loop._begin(KEY, holdings(store), time.monotonic()) is not None

    runtime = loop.runtime(KEY)
    assert runtime and not begins()
    runtime.due = time.monotonic()
    assert (begins(), begins()) == (True, False)
    runtime.rest(600.0)
    changed = queue(version=2)
    changed["metadata"]["generation"] = 2
    store.show(STREAM_QUEUES, changed)
    assert (begins(), begins()) == (True, False)
    runtime.rest(600.0)
    assert not begins()


async def test_a_round_that_fails_is_told_of_unless_its_queue_was_deleted_meanwhile(
    store: Store, loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    held, runtime = holdings(store), loop.runtime(KEY)
    assert runtime

    async def fails() -> Any:
        raise RuntimeError

    await loop._guard(Due(KEY, held, runtime), 600.0, fails)
    assert "shop/orders: round failed" in caplog.text
    assert time.monotonic() + 1.0 < runtime.due < time.monotonic() + 60.0, "it is tried again, not at once"
    caplog.clear()
    store.remove(STREAM_QUEUES, queue(version=2))
    await loop._guard(Due(KEY, held, runtime), 600.0, fails)
    assert not caplog.records


async def test_a_queue_that_is_deleted_before_its_turn_is_no_fault(
    store: Store, loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    held, runtime = holdings(store), loop.runtime(KEY)
    assert runtime
    await loop._prepare([Due(KEY, held, runtime)])
    assert "shop/orders: not prepared" in caplog.text, "there are no endpoints"
    caplog.clear()
    store.remove(STREAM_QUEUES, queue(version=2))
    await loop._prepare([Due(KEY, held, runtime)])
    assert not caplog.records
