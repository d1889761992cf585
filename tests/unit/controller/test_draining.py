"""A loop that ends on SIGTERM is told from one that never saw it."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.api.spec import Handler, Protocol
from streamqueue.api.timestamps import epoch
from streamqueue.controller.pods.draining import ended, last_reads, leaving, reading_on, told_to_go
from streamqueue.streams.snapshot import ConsumerView, Snapshot
from tests.unit.controller.bodies import condition, container, pod

NAME = "orders-6b7f9-abcde"
TOLD = epoch("2026-01-01T00:10:00Z")


def told() -> dict[str, Any]:
    body = pod()
    body["metadata"] |= {"deletionTimestamp": "2026-01-01T00:10:35Z", "deletionGracePeriodSeconds": 35}
    return body


def test_the_grace_is_no_part_of_when_it_was_told() -> None:
    assert told_to_go(told()) == TOLD
    assert told_to_go(pod()) is None


def test_a_read_long_after_the_signal_shows_that_nobody_heard_it() -> None:
    assert reading_on([told()], {NAME: TOLD + 10}) == [NAME]


def test_the_read_that_was_blocked_when_the_signal_came_proves_nothing() -> None:
    assert reading_on([told()], {NAME: TOLD + 5}) == []
    assert reading_on([told()], {}) == []


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"running": {"startedAt": "2026-01-01T00:09:58Z"}}, []),
        ({"terminated": {"startedAt": "2026-01-01T00:09:58Z"}}, []),
        ({"terminated": {"startedAt": None}}, [NAME]),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, [NAME]),
        ({"running": {"startedAt": "2026-01-01T00:09:40Z"}}, [NAME]),
    ],
    ids=str,
)
def test_a_process_that_was_told_as_it_started_may_not_have_had_its_handler(
    state: dict[str, Any], named: list[str]
) -> None:
    """As PID 1 it never hears of it again: nothing in it is to be mended."""
    body = told() | {"status": {"containerStatuses": [container(state=state)]}}
    assert reading_on([body], {NAME: TOLD + 10}) == named


@pytest.mark.parametrize(("since", "named"), [("2026-01-01T00:09:59Z", []), ("2026-01-01T00:10:00Z", [NAME])])
def test_on_a_node_that_is_cut_off_nobody_hears_the_signal(since: str, named: list[str]) -> None:
    """Told to go five minutes after the node fell silent; Redis may hear of its workers all the while."""
    unready = condition("Ready", "False") | {"lastTransitionTime": since}
    assert reading_on([told() | {"status": {"conditions": [unready]}}], {NAME: TOLD + 10}) == named
    ready = condition("Ready", "True") | {"lastTransitionTime": since}
    assert reading_on([told() | {"status": {"conditions": [ready]}}], {NAME: TOLD + 10}) == [NAME]


def test_a_pod_that_may_stay_reads_as_it_likes() -> None:
    assert reading_on([pod()], {NAME: TOLD + 10}) == []


def test_reads_are_told_by_the_clusters_clock() -> None:
    """Redis's is 20 s ahead of it."""
    views = (ConsumerView(NAME, 0, 4.0), ConsumerView("unasked", 1, None))
    found = Snapshot(time=TOLD + 30, stream_exists=True, group_exists=True, consumers=views)
    assert last_reads(found, 20.0) == {NAME: TOLD + 6}


def test_who_was_told_to_go() -> None:
    assert leaving([told(), pod(name="orders-6b7f9-other")]) == {NAME}


@pytest.mark.parametrize("protocol", Protocol)
def test_a_worker_that_deleted_its_consumer_has_ended_though_its_pod_goes_on(protocol: Protocol) -> None:
    """A handler beside a runner may ignore SIGTERM, and keep the pod for its grace. Plain loops say no goodbye."""
    stays, goes = pod("orders-6b7f9-stays"), told()

    def found(*names: str, total: int = 0) -> set[str]:
        views = tuple(ConsumerView(name, 0, 1.0) for name in names)
        look = Snapshot(1.0, True, True, consumers=views, consumers_total=total or len(views))
        return ended([stays, goes], Handler("image", protocol=protocol), look)

    assert found() == (set() if protocol is Protocol.REDIS else {goes["metadata"]["name"]})
    assert found(f"{NAME}.1a2b") == set(), "it still drains"
    assert found("another", total=2) == set(), "of a list that was cut nobody can tell"
