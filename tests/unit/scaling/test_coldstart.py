"""How long pods take to start, whatever clocks and readiness do afterwards."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import Memory, Observation, Pod, PodState, decide
from streamqueue.scaling.coldstart import PRIOR
from streamqueue.scaling.coldstart import ColdStart as Known
from streamqueue.scaling.fleet import take_stock
from streamqueue.scaling.memory import patience
from streamqueue.simulate.cluster import Cluster, ColdStart

from . import build
from .play import BentLaw, p95, play

SPEC = Scaling(max_replicas=50, target=TargetWait(30.0))


def starting(name: str, created: float) -> Pod:
    return Pod(name, PodState.STARTING, created, pending=0)


def ready(name: str, created: float, at: float, *, restarted: bool = False) -> Pod:
    return Pod(name, PodState.READY, created, ready_at=at, pending=1, restarted=restarted)


def learnt(*looks: Observation) -> tuple[float, ...]:
    memory: Memory | None = None
    for each in looks:
        _, memory = decide(SPEC, memory, each)
    assert memory is not None
    return memory.cold.samples


def test_a_pod_that_was_unready_for_a_moment_did_not_start_for_hours() -> None:
    """A probe that fails once, a node that is away, a handler that was killed: the pod is ready anew."""
    before = build.look(10_000.0, pods=(ready("a", 100.0, 112.0),))
    away = build.look(10_001.0, pods=(starting("a", 100.0),))
    back = build.look(10_030.0, pods=(ready("a", 100.0, 10_029.0),))
    assert learnt(before, away, back) == (12.0,)


def test_a_start_is_learnt_by_its_pod_not_by_its_time() -> None:
    """The cluster's times are whole seconds, cut off, and a node's clock may be behind."""
    looks = [build.look(103.2, pods=(starting("a", 100.0),)), build.look(108.4, pods=(starting("a", 100.0),))]
    assert learnt(*looks, build.look(109.4, pods=(ready("a", 100.0, 108.0),))) == (8.0,)
    assert learnt(*looks, build.look(109.4, pods=(ready("a", 100.0, 103.0),))) == (3.0,)
    ahead = [build.look(now, pods=(ready("a", 100.0, 115.0),)) for now in (109.4, 110.4, 111.4)]
    assert learnt(*looks, *ahead) == (15.0,), "once, by a clock that is ahead"


def test_a_pod_that_joins_leaves_the_others_starts_as_they_were() -> None:
    first = ready("a", 100.0, 112.0)
    looks = [build.look(113.0, pods=(first,)), build.look(120.0, pods=(first, starting("b", 115.0)))]
    assert learnt(*looks, build.look(121.0, pods=(first, ready("b", 115.0, 120.0)))) == (12.0, 5.0)
    assert learnt(looks[1], build.look(121.0, pods=(first, ready("b", 115.0, 120.0)))) == (12.0, 5.0)


def test_the_last_24_starts_are_known_by_their_mean_and_by_the_slowest_but_one_in_ten() -> None:
    fleet = tuple(ready(f"p{n}", 100.0, 100.0 + n) for n in range(30, 0, -1))
    known = Known().learn(take_stock(build.look(200.0, pods=fleet), 120.0), first=False)
    assert known.samples == tuple(float(n) for n in range(7, 31))
    assert (known.mean, known.slow) == (18.5, 28.0)
    assert Known((9.0, 1.0, 2.0)).slow == 9.0
    assert Known().mean == Known().slow == PRIOR


def test_what_a_pod_still_needs_is_judged_by_those_that_took_longer() -> None:
    known = Known((10.0, 20.0))
    assert [known.remaining(age) for age in (0.0, 4.0, 10.0, 12.0, 20.0, 30.0)] == [15.0, 11.0, 10.0, 8.0, 6.0, 9.0]
    assert known.remaining(-60.0) == 15.0, "by an operator's clock that is a minute behind"
    assert Known().remaining(4.0) == PRIOR - 4


def test_a_new_process_takes_no_later_start_for_the_first() -> None:
    fleet = (ready("a", 0.0, 9.0), ready("b", 0.0, 300.0, restarted=True), ready("c", 0.0, 40_000.0))
    away = starting("d", 0.0)
    first = build.look(50_000.0, pods=(*fleet, away))
    assert learnt(first, build.look(50_060.0, pods=(*fleet, ready("d", 0.0, 50_050.0)))) == (9.0,)
    alone = build.look(50_000.0, pods=(away,))
    assert learnt(alone, build.look(50_060.0, pods=(ready("d", 0.0, 50_050.0),))) == ()


def test_a_pod_that_crashed_as_it_started_is_learnt_all_the_same() -> None:
    looks = [build.look(float(now), pods=(starting("a", 100.0),)) for now in range(101, 130)]
    assert learnt(build.look(99.0), *looks, build.look(131.0, pods=(ready("a", 100.0, 130.0, restarted=True),))) == (
        30.0,
    )


def test_a_pod_is_given_three_times_as_long_as_others_took_and_two_minutes_at_least() -> None:
    taken = [Memory(0.0, 0.0, cold=Known(samples)) for samples in ((10.0, 20.0), (50.0, 70.0))]
    assert [patience(memory) for memory in (None, *taken)] == [120.0, 120.0, 180.0]


def test_pods_that_start_within_a_second_of_the_clusters_clock_are_asked_for() -> None:
    """Their cold start is none, as far as its times tell: that costs nothing, and must not be worth nothing."""

    def at_once(seen: Observation) -> Observation:
        return replace(seen, pods=tuple(replace(pod, created=pod.ready_at or pod.created) for pod in seen.pods))

    arrivals = [*(5.0 + 60 * n for n in range(5)), *(600.0 + 0.05 * n for n in range(600))]
    law = BentLaw(SPEC, bend=at_once)
    outcome = play(arrivals, [4.0] * len(arrivals), law, Cluster(ColdStart(0.4)))
    assert p95(outcome) <= 30
