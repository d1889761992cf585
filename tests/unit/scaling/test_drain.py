"""Which pods go, in which order, and how many of them at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import ScaleDown, Scaling, TargetBacklog
from streamqueue.scaling import Decision, Memory, Observation, Pod, PodState, Reason, decide
from streamqueue.scaling.drain import MISSING_SETTLE, NO_LIMIT, STICKY, Drain, Marks, note_marks, plan_drain
from streamqueue.scaling.fleet import take_stock
from streamqueue.scaling.recent import Peaks

from .build import look, pods, ready

NOW = 1000.0
BY_BACKLOG = Scaling(max_replicas=10, target=TargetBacklog(7), scale_down=ScaleDown(0.0))


def noted(before: Marks, seen: Observation) -> Marks:
    return note_marks(before, take_stock(seen, patience=120.0), seen)


def plan(marks: Marks, seen: Observation, target: int) -> Drain:
    return plan_drain(take_stock(seen, patience=120.0), marks, target, target, seen, 0)


def test_pods_that_a_deployment_asks_for_and_does_not_get_are_given_up_after_a_moment() -> None:
    def short(now: float) -> Observation:
        return look(now, pods=pods(1), replicas=3)

    marks = noted(Marks(), short(NOW))
    assert plan(marks, short(NOW), 1).fall == 0
    marks = noted(marks, short(NOW + MISSING_SETTLE - 0.1))
    assert plan(marks, short(NOW + MISSING_SETTLE - 0.1), 1).fall == 0
    late = short(NOW + MISSING_SETTLE)
    assert plan(noted(marks, late), late, 1).fall == 2
    assert plan(noted(marks, late), late, 2).fall == 1, "no more than are too many"
    assert plan(noted(marks, late), look(late.now, pods=pods(1, 1), replicas=3), 0).fall == 1, "or than are missing"
    there = noted(marks, look(NOW + 1, pods=pods(1, 1, 1)))
    assert plan(noted(there, late), late, 1).fall == 0, "they came, and are missing anew"


def test_pods_that_are_there_though_no_watch_has_shown_them_are_not_missing() -> None:
    """The count would fall by pods that nobody marked, and any of them might be at work."""

    def silent(created: int) -> Observation:
        return replace(look(NOW, pods=pods(1), replicas=4), created=created)

    marks = Marks(missing_since=NOW - MISSING_SETTLE)
    assert [plan(marks, silent(created), 1).fall for created in (0, 1, 2, 3, 4, 5)] == [3, 3, 2, 1, 0, 0]
    assert plan(marks, silent(1), 3).fall == 1, "no more than are too many"


def test_a_set_of_which_one_was_taken_is_halved_and_doubles_with_each_that_goes() -> None:
    idle = look(NOW, pods=pods(*[0] * 8))
    assert len(plan(Marks(), idle, 0).victims) == 8
    taken = (ready("p0", 1, marked=True), *(ready(f"p{n}", marked=True) for n in range(1, 8)))
    spoilt = noted(Marks(), look(NOW, pods=taken))
    assert (spoilt.batch, len(plan(spoilt, idle, 0).victims)) == (4, 4)
    assert noted(spoilt, look(NOW, pods=taken[4:])).batch == 8, "four are gone, and none was taken"
    assert noted(spoilt, look(NOW, pods=taken[:4])).batch == 2
    assert noted(spoilt, look(NOW, pods=taken)).batch == 2, "as long as one is at work"
    waiting = Marks(frozenset(pod.name for pod in taken[4:]), 4)
    assert noted(waiting, look(NOW, pods=taken[4:])) == waiting, "none of them has gone yet"
    assert noted(spoilt, idle).batch == 8, "all are gone, or wanted again"


def test_a_set_of_two_is_halved_to_one_and_no_further() -> None:
    taken = look(NOW, pods=(ready("p0", 1, marked=True), ready("p1", marked=True)))
    for batch in (NO_LIMIT, 2, 1):
        assert noted(Marks(batch=batch), taken).batch == 1


def test_a_lone_victim_that_was_taken_spoils_no_set() -> None:
    taken = look(NOW, pods=(ready("p0", 1, marked=True),))
    assert noted(Marks(), taken) == Marks(frozenset({"p0"}), NO_LIMIT)
    assert noted(Marks(frozenset({"p0"})), look(NOW, pods=pods(0))) == Marks()


def test_a_victim_that_goes_with_its_last_task_spoils_no_set() -> None:
    going = Pod("p0", PodState.TERMINATING, 0.0, pending=1, marked=True)
    assert noted(Marks(), look(NOW, pods=(going, ready("p1", marked=True)))).batch == NO_LIMIT


def test_a_lone_victim_keeps_its_mark_through_a_task_for_a_while() -> None:
    def at_work(since: float | None, batch: int = 1, *more: Pod) -> tuple[str, ...]:
        fleet = (ready("p0", 1, marked=True, marked_since=since), ready("p1"), ready("p2", 1), *more)
        return plan(Marks(frozenset({"p0"}), batch), look(NOW, pods=fleet), 2 + len(more)).victims

    assert at_work(NOW - STICKY + 1) == ("p0",)
    assert at_work(None) == ("p0",), "a mark that the watch doesn't show yet is new"
    assert at_work(NOW - STICKY) == ("p1",)
    assert at_work(NOW - 1, NO_LIMIT) == ("p1",), "where pods are idle for long enough, one of those goes"
    assert at_work(NOW - 1, 1, ready("p3", marked=True, marked_since=NOW)) == ("p3",), "it isn't alone"
    stuck = Pod("stuck", PodState.FAILING, 0.0, pending=0, marked=True, marked_since=NOW)
    assert plan(Marks(batch=1), look(NOW, pods=(ready("p0"), stuck)), 0).victims == ("stuck", "p0"), "it doesn't work"


def test_the_unready_go_first_as_a_replica_set_takes_them_and_then_the_newest_of_the_idle() -> None:
    fleet = (
        *(Pod(name, PodState.STARTING, created, pending=0) for name, created in (("old", NOW - 9), ("new", NOW - 3))),
        Pod("fails", PodState.FAILING, NOW - 1, pending=0),
        Pod("nowhere", PodState.UNSCHEDULABLE, 0.0, pending=0),
        ready("first", created=1.0),
        ready("last", created=2.0),
        ready("told", created=0.0, cordoned=True),
        ready("marked", created=0.0, marked=True, marked_since=NOW),
        ready("busy", 1),
    )
    order = ("nowhere", "fails", "new", "old", "marked", "told", "last", "first")
    for surplus in range(1, 9):
        assert plan(Marks(), look(NOW, pods=fleet), 9 - surplus).victims == order[:surplus]
    assert plan(Marks(), look(NOW, pods=fleet[2:3]), 0).victims == ("fails",), "though it is the last"


def test_where_fewer_pods_are_there_than_are_wanted_none_is_chosen() -> None:
    starting = tuple(Pod(f"s{n}", PodState.STARTING, NOW - n, pending=0) for n in range(3))
    assert plan(Marks(), look(NOW, pods=starting, replicas=6), 5) == Drain((), 0)
    assert plan(Marks(), look(NOW, pods=pods(1, 1, 1), replicas=6), 5) == Drain((), 0)


def test_pods_that_share_a_name_go_once_nothing_is_pending() -> None:
    shared = pods(None, None, marked_since=NOW - 1)
    for some in (shared, shared[:1]):
        assert plan(Marks(), look(NOW, pods=some, pending=1), 0) == Drain((), 0)
    assert plan(Marks(), look(NOW, pods=shared, pending=0), 0) == Drain(("p0", "p1"), 2)


def test_the_count_falls_by_marks_that_have_settled_and_not_again_for_pods_that_leave() -> None:
    settled = pods(0, 0, 0, marked_since=NOW - 1)
    assert plan(Marks(), look(NOW, pods=settled), 1) == Drain(("p0", "p1"), 0), "one more is marked than may go"
    two = (*settled[:2], ready("p2", 1))
    assert plan(Marks(), look(NOW, pods=two), 1).fall == 2
    assert plan(Marks(), look(NOW, pods=two, replicas=2), 0).fall == 1, "one has gone already, and is listed still"
    assert plan(Marks(), look(NOW, pods=pods(0, 0, 0), replicas=2), 1).fall == 0, "and never rises"
    going = Pod("going", PodState.TERMINATING, 0.0, pending=1, marked=True, marked_since=0.0)
    assert plan(Marks(), look(NOW, pods=(*settled[:1], going)), 0).fall == 1, "what has gone holds nobody up"


@pytest.mark.parametrize(("pending", "fall"), [(1, 0), (None, 0), (0, 1)])
def test_the_count_does_not_fall_while_an_unready_pod_may_be_at_work(pending: int | None, fall: int) -> None:
    """A ReplicaSet would take that one first of all."""
    unready = Pod("sidecar", PodState.FAILING, 0.0, pending=pending)
    idle = pods(0, marked_since=NOW - 1)
    drain = plan(Marks(), look(NOW, pods=(*idle, ready("busy", 1), unready)), 1)
    assert (drain.fall, "sidecar" in drain.victims) == (fall, not pending)
    assert plan(Marks(), look(NOW, pods=(*idle, unready), pending=0), 0).fall == (0 if pending else 1)


@pytest.mark.parametrize(
    ("spec", "waiting", "replicas", "victims"),
    [
        (BY_BACKLOG, 12, 2, ("p0", "p1")),
        (BY_BACKLOG, 18, 3, ("p0",)),  # more work came: one of the two may stay
        (BY_BACKLOG, 23, 4, ()),
        (replace(BY_BACKLOG, replicas=2), 0, 2, ("p0", "p1")),
        (replace(BY_BACKLOG, replicas=3), 0, 3, ("p0",)),
    ],
)
def test_what_leaves_keeps_its_mark_until_the_replica_set_has_taken_it(
    spec: Scaling, waiting: int, replicas: int, victims: tuple[str, ...]
) -> None:
    """The count has fallen to two, and the cluster's controllers are slow: without marks they would take any pod."""
    fleet = (*pods(0, 0, marked_since=NOW - 2), ready("p2", 1), ready("p3", 1))
    seen = look(NOW, pods=fleet, replicas=2, waiting=waiting, pending=2)
    decision, _ = decide(spec, Memory(0.0, NOW - 1), seen)
    assert (decision.replicas, decision.victims) == (replicas, victims)
    assert decide(spec, None, seen)[0].victims == victims, "in a new process too"
    blind = replace(seen, known=False, pods=tuple(replace(pod, pending=None) for pod in fleet))
    assert decide(spec, Memory(0.0, NOW - 1), blind)[0].victims == ("p0", "p1"), "though nobody is chosen unseen"
    assert decide(replace(spec, paused=True), Memory(0.0, NOW - 1), seen)[0].victims == ("p0", "p1")
    assert decide(spec, Memory(0.0, NOW - 1), replace(seen, rollout=True))[0].victims == (), "others may be of the old"
    none_wanted = look(NOW, pods=fleet[:2], replicas=0)
    assert decide(BY_BACKLOG, Memory(0.0, NOW - 1), none_wanted)[0].victims == ("p0", "p1")
    learning, _ = decide(BY_BACKLOG, None, replace(seen, waiting=0))
    assert (learning.replicas, learning.reason, learning.victims) == (2, Reason.LEARNING, ("p0", "p1"))
    assert learning.sentence == "2: 1 would do; the operator is new and learns for 30 s more"


def test_the_count_falls_to_what_is_wanted_now_and_by_no_more_than_max_step() -> None:
    """Though more may go in a moment, and are marked already."""
    spec = replace(BY_BACKLOG, scale_down=ScaleDown(30.0))
    kept, gone = ((NOW - 29.0, 3),), ((NOW - 31.0, 3),)
    seen = look(NOW, pods=pods(0, 0, 0, 0, marked_since=NOW - 2))

    def decided(spec: Scaling, peaks: Peaks, **more: Any) -> Decision:
        return decide(spec, Memory(0.0, NOW - 1, peaks=peaks), replace(seen, **more))[0]

    assert (decided(spec, kept).replicas, len(decided(spec, kept).victims)) == (3, 4)
    assert decided(spec, gone).replicas == 0
    assert decided(replace(spec, scale_down=ScaleDown(30.0, 1)), gone).replicas == 3
    marking = decided(spec, gone, pods=pods(0, 0, 0, 0))
    assert (marking.replicas, marking.reason) == (4, Reason.SCALING_DOWN)
    assert marking.sentence.startswith("4: 0 would do, 4 idle pods are being marked; 0 waiting and 0 pending")
    shared = decided(spec, gone, pods=pods(None, None, None, None), pending=3)
    assert (shared.replicas, shared.reason, shared.victims) == (4, Reason.DRAINING, ())
    assert shared.sentence.startswith("4: 1 would do, but the pods share a consumer name, so none goes while anything")
    rolling = decided(spec, kept, rollout=True)
    assert (rolling.replicas, rolling.reason, rolling.victims) == (4, Reason.ROLLING_OUT, ())
    assert rolling.sentence.startswith("4: 3 would do, but not inside a rollout; 0 waiting and 0 pending")


@pytest.mark.parametrize("pin", [None, 0])
def test_a_rollout_that_waits_for_the_room_of_idle_pods_gets_it(pin: int | None) -> None:
    """As where each pod needs a GPU, or a node, of its own: it would last for ever, and so would the fleet."""
    old = ready("p0", 0, marked=True, marked_since=NOW - 2)
    new = replace(old, name="p1", state=PodState.UNSCHEDULABLE, ready_at=None)

    def wanted(*fleet: Pod, waiting: int = 0, least: int = 0) -> int:
        spec = replace(BY_BACKLOG, replicas=pin if not least else None, min_replicas=least)
        seen = look(NOW, pods=fleet, replicas=1, rollout=True, waiting=waiting)
        return decide(spec, Memory(0.0, NOW - 1), seen)[0].replicas

    assert wanted(old, new) == 0
    assert wanted(replace(old, pending=1), new) == 1, "at work"
    assert wanted(old, new, waiting=1) == 1, "about to be"
    assert wanted(old, replace(new, state=PodState.FAILING)) == 1, "the old ones are all that works"
    assert wanted(old, new, least=1) == 1
