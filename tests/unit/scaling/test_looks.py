"""The look after victims were marked comes when their marks count, not a poll later."""

from __future__ import annotations

import itertools

import pytest

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import rest, settling
from streamqueue.scaling.looks import SETTLE, SHOWN
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import StreamQueueLaw

from .build import look, pods, ready


def test_marks_that_nobody_saw_yet_are_waited_for_after_they_were_written() -> None:
    assert settling(("p0", "p1"), look(7.0, pods=pods(0, 0, 0))) == SETTLE + SHOWN


def test_of_several_marks_the_first_to_count_is_waited_for() -> None:
    fleet = (ready("a", marked=True, marked_since=6.5), ready("b", marked=True, marked_since=6.8), ready("c"))
    assert settling(("a", "b", "c"), look(7.0, pods=fleet)) == pytest.approx(SETTLE - 0.5)


def test_nothing_is_waited_for_without_victims_or_once_all_marks_count() -> None:
    settled = (ready("a", marked=True, marked_since=3.0), ready("b", marked=True, marked_since=6.9))
    assert settling((), look(7.0, pods=settled)) is None
    assert settling(("a",), look(7.0, pods=settled)) is None


@pytest.mark.parametrize(
    ("interval", "settles", "expected"),
    [
        (5.0, None, 5.0),
        (5.0, 1.1, 1.1),  # not a poll later
        (1.0, 1.1, 1.1),  # rather than a poll a moment before, and one more look
        (0.2, 1.1, 0.2),  # polls go on
        (0.2, 0.05, 0.05),
    ],
)
def test_the_next_look(interval: float, settles: float | None, expected: float) -> None:
    assert rest(interval, settles) == expected


@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_a_simulated_pod_goes_a_second_after_its_mark_was_seen_however_rare_the_polls(interval: float) -> None:
    spec = Scaling(max_replicas=5, target=TargetWait(30.0), polling_interval=interval)
    fleet = Fleet([0.0, 2000.0], [4.0, 1.0], Cluster(ColdStart(2.0)), StreamQueueLaw(spec))
    marked = gone = None
    for _ in fleet.steps():
        if marked is None and any(worker.marked_at is not None for worker in fleet.pods.live.values()):
            marked = fleet.now
        if marked is not None and gone is None and not fleet.pods.live:
            gone = fleet.now
            break
    assert marked is not None and gone is not None
    assert gone - marked == pytest.approx(SETTLE + SHOWN)


def test_looks_are_extra_only_while_victims_settle() -> None:
    spec = Scaling(max_replicas=5, target=TargetWait(30.0), polling_interval=10.0)
    outcome = Fleet([0.0, 2000.0], [4.0, 1.0], Cluster(ColdStart(2.0)), StreamQueueLaw(spec)).run()
    looks = [row[0] for row in outcome.timeline]
    gaps = [round(later - earlier, 6) for earlier, later in itertools.pairwise(looks)]
    silence = 1960.0  # nobody looks at nothing
    assert set(gaps) == {10.0, SETTLE + SHOWN, silence}
    assert gaps.count(SETTLE + SHOWN) <= 2
