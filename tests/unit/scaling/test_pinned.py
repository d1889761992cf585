"""A count that somebody set is kept to, as far as pods may go and the maximum allows."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.api.spec import Scaling
from streamqueue.scaling import Memory, PodState, Reason, decide

from .build import look, pods, ready


def test_a_pin_holds_where_no_pod_may_go_and_stays_within_the_maximum() -> None:
    spec, memory = Scaling(max_replicas=4, replicas=1), Memory(since=0.0, last=99.0)
    idle = (*pods(0, 0, marked_since=0.0), ready("p2"))
    assert decide(spec, memory, look(100.0, pods=idle))[0].replicas == 1
    assert decide(spec, memory, look(100.0, pods=pods(1, 1, 1)))[0].replicas == 3, "all are at work"
    for held, why in (
        ({"known": False}, "the stream can't be read, so no pod is let go"),
        ({"rollout": True}, "fewer once the rollout is over"),
    ):
        decision, _ = decide(spec, memory, look(100.0, pods=idle, **held))
        assert (decision.replicas, decision.reason, decision.victims) == (3, Reason.PINNED, ())
        assert decision.sentence == f"3: pinned at 1; {why}"
    going = tuple(replace(pod, state=PodState.TERMINATING) for pod in idle[1:])
    raised, _ = decide(replace(spec, replicas=9), memory, look(100.0, pods=(*idle[:1], *going)))
    assert (raised.replicas, raised.reason) == (2, Reason.PINNED), "those that go still count"
    assert raised.sentence == (
        "1 -> 2: pinned at 9, capped by maxReplicas 4; 2 pods still terminating count against maxReplicas 4"
    )


def test_a_pin_lets_no_pod_go_for_the_sake_of_those_that_terminate() -> None:
    going = tuple(replace(ready(f"gone{n}"), state=PodState.TERMINATING) for n in range(3))
    for pin in (3, 4):
        seen = look(100.0, pods=(*pods(1, 1, 1), *going))
        decision, _ = decide(Scaling(max_replicas=4, replicas=pin), Memory(since=0.0, last=99.0), seen)
        assert (decision.replicas, decision.victims) == (3, ())


def test_a_pin_at_the_present_count_is_all_there_is_to_say() -> None:
    spec, memory = Scaling(max_replicas=4, replicas=3), Memory(since=0.0, last=99.0)
    for held in ({}, {"known": False}, {"rollout": True}):
        decision, _ = decide(spec, memory, look(100.0, pods=pods(0, 0, 0), **held))
        assert (decision.replicas, decision.victims, decision.sentence) == (3, (), "3: pinned at 3")
    fewer, _ = decide(replace(spec, replicas=2), memory, look(100.0, pods=pods(0, 1, 1)))
    assert (fewer.victims, fewer.sentence) == (("p0",), "3: pinned at 2")
