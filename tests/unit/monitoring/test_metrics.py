"""What a scrape shows: names, types and labels as documented; no series for what isn't known."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamqueue.api.spec import Handler, QueueSpec, Redis, Scaling, TargetWait
from streamqueue.controller.status import metrics
from streamqueue.controller.status.assess import Facts
from streamqueue.controller.status.progress import Progress
from streamqueue.controller.trouble import Trouble
from streamqueue.maintenance import Cause
from streamqueue.scaling import Decision, Reason
from streamqueue.streams import Snapshot
from streamqueue.streams.durability import Durability
from tests.unit.controller.bodies import KEY, container, pod
from tests.unit.monitoring.scrape import Page, Scraper, scraping

DOCS = Path(__file__).parents[3] / "docs" / "monitoring.md"
ROW = re.compile(r"^\| `(streamqueue_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)

SPEC = QueueSpec(
    Redis(url="redis://r"),
    "orders",
    "workers",
    Handler("image"),
    scaling=Scaling(max_replicas=8, target=TargetWait(30)),
)
READY = pod(phase="Running", conditions=[{"type": "Ready", "status": "True"}], containerStatuses=[container()])

OF_THE_QUEUE = {"namespace", "queue"}
BEYOND = {"streamqueue_replicas": {"state"}, "streamqueue_decisions": {"reason"}, "streamqueue_live_returns": {"cause"}}


def facts(**given: Any) -> Facts:
    return Facts(
        spec=SPEC,
        snapshot=Snapshot(
            time=0,
            stream_exists=True,
            group_exists=True,
            undelivered=7,
            pending=3,
            unacknowledged=14,
            oldest_waiting_age=1.5,
            oldest_pending_age=0.5,
            dead_letters=2,
            outboxed=6,
        ),
        decision=Decision(4, Reason.SCALING_UP, "0 -> 4"),
        durability=Durability("noeviction", True),
        pods=[READY],
        **given,
    )


@pytest.fixture
async def scrape() -> AsyncIterator[Scraper]:
    async with scraping() as scraper:
        yield scraper
    metrics.forget(KEY)


def count_everything() -> None:
    metrics.show(KEY, facts())
    metrics.show_stuck(KEY, True)
    metrics.count(KEY, Progress(5, 2), trimmed=1)
    metrics.DECISIONS.labels(*KEY, Reason.SCALING_UP).inc()
    metrics.RECOVERED.labels(*KEY).inc(3)
    metrics.BUSY_LEAVING.labels(*KEY).inc()
    metrics.LIVE_RETURNS.labels(*KEY, Cause.ABANDONED).inc(9)


def labels_of(page: Page, family: str) -> set[str]:
    found = {label for sample in page.families[family].samples for label in sample.labels}
    return found - {"le"}


async def test_names_types_and_labels_are_those_of_the_docs(scrape: Scraper) -> None:
    count_everything()
    page = await scrape()
    shown = {
        (name + "_total" * (family.type == "counter"), family.type, ", ".join(sorted(labels_of(page, name))))
        for name, family in page.families.items()
    }
    documented = {
        (name, kind, ", ".join(sorted(re.findall(r"`(\w+)`", labels))))
        for name, kind, labels in ROW.findall(DOCS.read_text())
    }
    assert shown == documented


async def test_labels_are_bounded(scrape: Scraper) -> None:
    """A queue's namespace and name; beyond them only the values of an enum."""
    count_everything()
    page = await scrape()
    for name in page.families:
        assert labels_of(page, name) - OF_THE_QUEUE == BEYOND.get(name, set())
        assert labels_of(page, name) >= OF_THE_QUEUE or not labels_of(page, name)
    assert all(family.documentation for family in page.families.values())


async def test_the_figures_are_those_of_the_round(scrape: Scraper) -> None:
    count_everything()
    page = await scrape()
    figures = {
        name: page.values(name, "orders")[()]
        for name in (
            *("lag", "lag_known", "pending", "oldest_waiting_seconds", "oldest_pending_seconds", "dead_letters"),
            *("desired_replicas", "max_replicas", "target_wait_seconds", "handler_timeout_seconds"),
            *(
                "visibility_timeout_seconds",
                "redis_up",
                "redis_may_lose_work",
                "added_total",
                "acknowledged_total",
                "trimmed_undelivered_total",
            ),
            *("reclaimed_total", "outboxed", "results_stuck", "retrying"),
        )
    }
    assert list(figures.values()) == [7, 1, 3, 1.5, 0.5, 2, 4, 8, 30, 120, 300, 1, 0, 5, 2, 1, 3, 6, 1, 11]
    assert page.values("replicas", "orders")[("ready",)] == 1
    assert page.values("decisions_total", "orders") == {("ScalingUp",): 1, ("ScalingDown",): 0}
    assert page.values("live_returns_total", "orders") == {("abandoned",): 9, ("visibility-timeout",): 0}


async def test_counters_are_there_before_they_count(scrape: Scraper) -> None:
    metrics.show(KEY, facts())
    page = await scrape()
    for name in ("trimmed_undelivered_total", "reclaimed_total", "busy_pods_terminated_total"):
        assert page.values(name, "orders") == {(): 0}


async def test_what_cant_be_read_has_no_series(scrape: Scraper) -> None:
    count_everything()
    metrics.show(KEY, Facts(spec=SPEC, redis=Trouble("Unreachable", "no route")))
    page = await scrape()
    assert page.values("redis_up", "orders") == {(): 0}
    of_the_stream = ("lag", "lag_known", "pending", "oldest_waiting_seconds", "oldest_pending_seconds", "dead_letters")
    for name in (*of_the_stream, "outboxed", "retrying"):
        assert page.values(name, "orders") == {}, name
    assert page.values("redis_may_lose_work", "orders") == {}
    assert page.values("desired_replicas", "orders") == {}


async def test_the_warning_of_the_server_is_that_of_the_condition(scrape: Scraper) -> None:
    for durability in (
        Durability("noeviction", True, 0.9),
        Durability(None, None, 0.9),
        Durability("allkeys-lru", True),
    ):
        metrics.show(KEY, replace(facts(), durability=durability))
        assert (await scrape()).values("redis_may_lose_work", "orders") == {(): 1}, durability
    metrics.show(KEY, replace(facts(), durability=Durability("noeviction", True, 0.7)))
    assert (await scrape()).values("redis_may_lose_work", "orders") == {(): 0}
    for hidden in (Durability("noeviction", None, 0.7), Durability(None, True, 0.7)):
        metrics.show(KEY, replace(facts(), durability=hidden))
        assert (await scrape()).values("redis_may_lose_work", "orders") == {}, hidden


async def test_whether_an_owner_lives_isnt_known_of_a_name_that_pods_share(scrape: Scraper) -> None:
    count_everything()
    metrics.show(KEY, facts(shared_consumers=True))
    assert (await scrape()).values("live_returns_total", "orders") == {}
    metrics.show(KEY, facts())
    assert set((await scrape()).values("live_returns_total", "orders").values()) == {0}


async def test_a_rejected_spec_leaves_no_old_figures(scrape: Scraper) -> None:
    count_everything()
    metrics.show(KEY, Facts(rejected=Trouble("Invalid", "spec.stream: …")))
    page = await scrape()
    assert page.values("lag", "orders") == page.values("max_replicas", "orders") == {}
    assert page.values("redis_up", "orders") == {(): 0}


async def test_an_empty_list_has_age_zero_and_an_age_that_isnt_known_has_none(scrape: Scraper) -> None:
    empty = Snapshot(time=0, stream_exists=True, group_exists=True)
    metrics.show(KEY, Facts(spec=SPEC, snapshot=empty))
    assert (await scrape()).values("oldest_waiting_seconds", "orders") == {(): 0}
    made_up_ids = Snapshot(time=0, stream_exists=True, group_exists=True, undelivered=1)
    metrics.show(KEY, Facts(spec=SPEC, snapshot=made_up_ids))
    assert (await scrape()).values("oldest_waiting_seconds", "orders") == {}


async def test_a_deleted_queue_takes_all_its_series_along(scrape: Scraper) -> None:
    count_everything()
    assert len((await scrape()).series("orders")) > 15
    metrics.forget(KEY)
    assert (await scrape()).series("orders") == set()


async def test_a_standby_doesnt_pass_for_a_leader(scrape: Scraper) -> None:
    def figure(page: Page, name: str) -> float:
        (sample,) = page.families[name].samples
        return sample.value

    page = await scrape()
    assert figure(page, "streamqueue_leader") == figure(page, "streamqueue_loop_age_seconds") == 0
    stalled = time.monotonic() - 60
    scrape.health.last_tick = lambda: stalled
    page = await scrape()
    assert figure(page, "streamqueue_leader") == 1
    assert figure(page, "streamqueue_loop_age_seconds") >= 60
