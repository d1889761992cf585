"""One decision: hold where we must, else ask the law, bound its wish, and let only idle pods go."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.api.spec import Scaling, TargetBacklog
from streamqueue.scaling.backlog import wish_by_backlog
from streamqueue.scaling.bounds import Bounded, bound, room_for, still_terminating
from streamqueue.scaling.deadline.law import wish_by_deadline
from streamqueue.scaling.deadline.learn import learn
from streamqueue.scaling.drain import NO_LIMIT, Drain, plan_drain
from streamqueue.scaling.fleet import Fleet, take_stock
from streamqueue.scaling.foresight import foresee, lead
from streamqueue.scaling.memory import Memory, patience, remember
from streamqueue.scaling.model import Decision, Observation, PodState, Reason
from streamqueue.scaling.wish import Wish

# Pods of fewer slots are idle often enough: in the simulator to tell them cost more starts than it saved pods.
CORDON_SLOTS = 4
LEARNING = 30.0  # seconds for which a new process holds or scales up only

_ASLEEP = Decision(0, Reason.IDLE, "0: nothing waiting or pending")


def decide(spec: Scaling, memory: Memory | None, observation: Observation) -> tuple[Decision, Memory]:
    """How many replicas to run now, and which pods to mark as the next to go.

    Pure: the same arguments give the same answer, and `memory` is a value. Call it once per observation,
    with the memory of the call before; None in a new process, which then only holds or scales up for
    `LEARNING` seconds. A queue without work and pods costs next to nothing.
    """
    if memory is not None and _asleep(spec, memory, observation):
        return _ASLEEP, memory
    fleet = take_stock(observation, patience(memory))
    memory = remember(memory, fleet, observation)
    if _asleep(spec, memory, observation):
        return _ASLEEP, memory  # in a new process too: in other words its status would be written again
    if spec.paused:
        return _hold(fleet, memory, observation, Reason.PAUSED, "scaling is paused"), memory
    if spec.replicas is not None:
        return _pinned(spec, spec.replicas, memory, fleet, observation), memory
    if not observation.known:
        note = "the stream can't be read, so nothing changes"
        return _hold(fleet, memory, observation, Reason.UNKNOWN, note), memory
    wish, memory = _wish(spec, memory, fleet, observation)
    wish = foresee(wish, spec, memory.cold, fleet, observation)
    return _towards(bound(spec, fleet, wish, observation), spec, memory, fleet, observation), memory


def _asleep(spec: Scaling, memory: Memory, observation: Observation) -> bool:
    return (
        observation.known
        and not observation.pods
        and observation.replicas == 0
        and observation.waiting == 0
        and observation.pending == 0
        and spec.min_replicas == 0
        and spec.replicas is None
        and not spec.paused
        and not memory.marks.names
        and observation.now >= memory.last
        and (observation.next_due is None or observation.next_due > lead(spec, memory.cold))
    )


def _wish(spec: Scaling, memory: Memory, fleet: Fleet, observation: Observation) -> tuple[Wish, Memory]:
    if isinstance(spec.target, TargetBacklog):
        wish, peaks = wish_by_backlog(
            spec.target.tasks,
            spec.scale_down.delay,
            spec.max_replicas,
            memory.peaks,
            fleet.capacity,
            observation,
        )
        return wish, replace(memory, peaks=peaks)
    target = spec.target.seconds
    concurrency, limit = spec.concurrency, spec.max_replicas
    learnt = learn(memory.learnt, fleet, target, concurrency, limit, spec.polling_interval, observation)
    wish, learnt = wish_by_deadline(target, concurrency, limit, learnt, memory.cold, fleet, observation)
    return wish, Memory(memory.since, memory.last, memory.marks, memory.cold, None, learnt)


def _pinned(spec: Scaling, pin: int, memory: Memory, fleet: Fleet, observation: Observation) -> Decision:
    target = min(pin, spec.max_replicas)
    note = f"pinned at {pin}" + (f", capped by maxReplicas {spec.max_replicas}" if target < pin else "")
    if target >= fleet.replicas:
        replicas = room_for(target, spec, fleet)
        if replicas < target:
            note += f"; {still_terminating(spec, fleet)}"
        going = _going(fleet, memory, replicas, replicas, observation)
        return Decision(replicas, Reason.PINNED, _arrow(fleet.replicas, replicas, note), going)
    if not observation.known:
        note += "; the stream can't be read, so no pod is let go"
        return _hold(fleet, memory, observation, Reason.PINNED, note)
    if observation.rollout and not _makes_room(target, fleet, observation):
        return _hold(fleet, memory, observation, Reason.PINNED, f"{note}; fewer once the rollout is over")
    # Of any number of slots: somebody wants this, and where tasks wait no pod is ever idle.
    drain = plan_drain(fleet, memory.marks, target, target, observation, NO_LIMIT if spec.cordons else 0)
    replicas = max(target, fleet.replicas - drain.fall)
    if replicas == fleet.replicas and not drain.victims:
        note += f"; {_why_none_goes(fleet)}"
    if drain.cordoned:
        note += f"; {_told(drain)}"
    return Decision(replicas, Reason.PINNED, _arrow(fleet.replicas, replicas, note), drain.victims, drain.cordoned)


def _towards(bounded: Bounded, spec: Scaling, memory: Memory, fleet: Fleet, observation: Observation) -> Decision:
    have, target, why = fleet.replicas, bounded.target, bounded.why
    left = memory.since + LEARNING - observation.now
    if target >= have:
        going = _going(fleet, memory, target, target if left > 0 else bounded.soon, observation)
        return Decision(target, bounded.reason, _arrow(have, target, why), going)
    if observation.rollout and not _makes_room(target, fleet, observation):
        note = f"{target} would do, but not inside a rollout; {why}"
        return _hold(fleet, memory, observation, Reason.ROLLING_OUT, note)
    if left > 0:
        note = f"{target} would do; the operator is new and learns for {left:.0f} s more"
        return _hold(fleet, memory, observation, Reason.LEARNING, note)
    step = NO_LIMIT if spec.scale_down.max_step is None else spec.scale_down.max_step
    cordons = min(step, _cordons(spec))
    drain = plan_drain(fleet, memory.marks, target, bounded.soon, observation, cordons)
    replicas = max(target, have - min(drain.fall, step))
    if drain.cordoned:
        why = f"{_told(drain)}; {why}"
    if replicas < have:
        return Decision(replicas, Reason.SCALING_DOWN, _arrow(have, replicas, why), drain.victims, drain.cordoned)
    if drain.victims:
        note = f"{target} would do, {len(drain.victims)} idle pods are being marked; {why}"
        return Decision(have, Reason.SCALING_DOWN, f"{have}: {note}", drain.victims, drain.cordoned)
    note = f"{target} would do, but {_why_none_goes(fleet)}"
    return Decision(have, Reason.DRAINING, f"{have}: {note}; {why}", (), drain.cordoned)


def _why_none_goes(fleet: Fleet) -> str:
    if fleet.shared_names:
        return "the pods share a consumer name, so none goes while anything is pending"
    return "every pod is busy"


def _going(fleet: Fleet, memory: Memory, target: int, soon: int, observation: Observation) -> tuple[str, ...]:
    """The victims where the count doesn't fall: pods that the Deployment has ceased to ask for keep their marks until
    the ReplicaSet has taken them, however slow the cluster's controllers are.
    """
    if observation.rollout:
        return ()
    if not observation.known:  # nobody is chosen unseen
        live = [pod.name for pod in fleet.marked if pod.state is not PodState.TERMINATING]
        return tuple(live) if fleet.leaving else ()
    return plan_drain(fleet, memory.marks, target, soon, observation, 0).victims


def _makes_room(target: int, fleet: Fleet, observation: Observation) -> bool:
    """Whether the rollout waits for the room of old pods that have nothing to do, and would for ever: when all of them
    go, no busy one can be taken for an idle one.
    """
    return target == 0 and bool(fleet.unschedulable) and not (observation.waiting or observation.pending)


def _cordons(spec: Scaling) -> int:
    """How many pods may be told to take no more."""
    return NO_LIMIT if spec.cordons and spec.concurrency >= CORDON_SLOTS else 0


def _told(drain: Drain) -> str:
    return f"{len(drain.cordoned)} told to take no more tasks"


def _hold(fleet: Fleet, memory: Memory, observation: Observation, reason: Reason, why: str) -> Decision:
    have = fleet.replicas
    return Decision(have, reason, f"{have}: {why}", _going(fleet, memory, have, have, observation))


def _arrow(have: int, target: int, why: str) -> str:
    return f"{have}: {why}" if have == target else f"{have} -> {target}: {why}"
