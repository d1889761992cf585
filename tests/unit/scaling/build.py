"""Observations for tests, and strategies that draw them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from streamqueue.api.spec import ScaleDown, ScaleUp, Scaling, TargetBacklog, TargetWait
from streamqueue.scaling import Observation, Pod, PodState


def ready(name: str, pending: int | None = 0, **more: Any) -> Pod:
    return Pod(name, PodState.READY, created=more.pop("created", 0.0), ready_at=5.0, pending=pending, **more)


def pods(*pending: int | None, marked_since: float | None = None) -> tuple[Pod, ...]:
    """Ready pods with these pending counts, named p0, p1, ..., all marked at that time or none."""
    marked = marked_since is not None
    return tuple(ready(f"p{i}", n, marked=marked, marked_since=marked_since) for i, n in enumerate(pending))


def look(now: float, *, pods: tuple[Pod, ...] = (), **more: Any) -> Observation:
    """An observation; `replicas` follows from the pods unless given."""
    live = sum(pod.state is not PodState.TERMINATING for pod in pods)
    more.setdefault("replicas", live)
    more.setdefault("known", True)
    more.setdefault("pending", sum(pod.pending or 0 for pod in pods))
    return Observation(now=now, pods=pods, **more)


@st.composite
def a_pod(draw: st.DrawFn, name: str, now: float) -> Pod:
    state = draw(st.sampled_from(list(PodState)))
    created = now - draw(st.floats(-60, 600))  # by the API server's clock
    can_hold = state in (PodState.READY, PodState.TERMINATING)
    marked = draw(st.booleans())
    return Pod(
        name=name,
        state=state,
        created=created,
        ready_at=created + draw(st.sampled_from([1, 30, -20])) if can_hold else None,  # by the node's
        # A pod at work may be unready, for a sidecar or a probe of the user's own.
        pending=draw(st.sampled_from([0, 0, 1, 2, None] if can_hold else [0, 0, 0, 1, None])),
        marked=marked,
        cordoned=draw(st.sampled_from([False, False, True])),
        # None: written, and not shown by the watch yet.
        marked_since=draw(st.one_of(st.none(), st.floats(now - 5, now))) if marked else None,
    )


@st.composite
def observations(draw: st.DrawFn, now: float) -> Observation:
    """Any observation at all, consistent or not: the invariants hold for each."""
    fleet = tuple(draw(a_pod(f"p{i}", now)) for i in range(draw(st.integers(0, 8))))
    live = sum(pod.state is not PodState.TERMINATING for pod in fleet)
    held = sum(pod.pending or 0 for pod in fleet)
    waiting = draw(st.one_of(st.just(0), st.integers(0, 5000)))
    return Observation(
        now=now,
        known=draw(st.sampled_from([True, True, True, False])),
        waiting=waiting,
        waiting_exact=draw(st.booleans()),
        waiting_likely=draw(st.sampled_from([None, None, 0, 7, 10**6])),
        pending=held + draw(st.sampled_from([0, 0, 3])),
        oldest_waiting_age=draw(st.one_of(st.none(), st.floats(0, 1000))) if waiting else None,
        entries_added=draw(st.one_of(st.none(), st.integers(0, 10**9))),
        last_delivered_age=draw(st.one_of(st.none(), st.floats(0, 1e6))),
        next_due=draw(st.sampled_from([None, None, 0.0, 8.0, 500.0])),
        pods=fleet,
        replicas=max(0, live + draw(st.sampled_from([0, 0, 0, -1, 2]))),
        rollout=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    """Observations in a row, the clock now and then jumping, even backwards."""
    now = draw(st.floats(0, 1e6))
    seen = []
    for _ in range(draw(st.integers(1, 12))):
        seen.append(draw(observations(now)))
        now += draw(st.sampled_from([1.0, 1.0, 2.0, 0.0, 40.0, 3600.0, -30.0]))
    return seen


@st.composite
def specs(draw: st.DrawFn) -> Scaling:
    low = draw(st.integers(0, 4))
    return Scaling(
        min_replicas=low,
        max_replicas=low + draw(st.integers(1, 20)),
        target=draw(st.builds(TargetWait, st.floats(0.5, 600)) | st.builds(TargetBacklog, st.integers(1, 100))),
        replicas=draw(st.sampled_from([None, None, None, 0, 3])),
        paused=draw(st.sampled_from([False, False, False, True])),
        scale_down=ScaleDown(draw(st.floats(0, 100)), draw(st.sampled_from([None, 1, 2]))),
        scale_up=ScaleUp(draw(st.sampled_from([None, 1, 5]))),
        concurrency=draw(st.integers(1, 8)),
        cordons=draw(st.booleans()),
    )
