"""targetWait in the conditions that real clusters bring. The clock is simulated: nothing here sleeps."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import Observation, PodState, Reason
from streamqueue.simulate.cluster import Cluster, ColdStart, Nodes

from .play import BentLaw, over_work, p95, play

SPEC = Scaling(max_replicas=200, target=TargetWait(30.0))


def poisson(rate: float, seconds: float) -> list[float]:
    dice = random.Random(1)
    arrivals: list[float] = []
    now = dice.expovariate(rate)
    while now < seconds:
        arrivals.append(now)
        now += dice.expovariate(rate)
    return arrivals


def exponential(count: int, mean: float) -> list[float]:
    dice = random.Random(2)
    return [dice.expovariate(1 / mean) for _ in range(count)]


def burst(at: float, count: int, seconds: float = 10.0) -> list[float]:
    return [at + seconds * i / count for i in range(count)]


def test_a_steady_stream_is_served_in_time_and_cheaply() -> None:
    arrivals = poisson(2.0, 3600)
    services = exponential(len(arrivals), 4.0)
    outcome = play(arrivals, services, BentLaw(SPEC))
    assert p95(outcome) <= 30
    assert over_work(outcome, services) < 1.15
    assert outcome.killed == 0
    assert outcome.started < 70, "pods come and go no more than the load does"


@pytest.mark.parametrize("sigma", [0.5, 0.8])
def test_cold_starts_that_vary(sigma: float) -> None:
    arrivals = poisson(1.0, 5400)
    services = exponential(len(arrivals), 8.0)
    outcome = play(arrivals, services, BentLaw(replace(SPEC, target=TargetWait(60.0))), Cluster(ColdStart(27.0, sigma)))
    assert p95(outcome) <= 60
    assert over_work(outcome, services) < 1.3


def test_bursts_on_pods_that_start_now_fast_now_slowly() -> None:
    arrivals = [at for n in range(30) for at in burst(5.0 + 200 * n, 40)]
    services = [4.0] * len(arrivals)
    outcome = play(arrivals, services, BentLaw(replace(SPEC, target=TargetWait(60.0))), Cluster(ColdStart(30.0, 0.6)))
    assert p95(outcome) <= 60
    assert over_work(outcome, services) < 2.6


def test_pods_that_still_start_go_once_the_others_have_done_the_work() -> None:
    """A slow pod would hold all others: a ReplicaSet takes starting pods first."""
    arrivals = [at + 0.01 * i for at in (5.0, 900.0, 1800.0) for i in range(150)]
    services = [2.0] * len(arrivals)
    outcome = play(arrivals, services, BentLaw(replace(SPEC, target=TargetWait(60.0))), Cluster(ColdStart(20.0, 1.0)))
    assert p95(outcome) <= 60
    assert over_work(outcome, services) < 4


def test_a_first_moment_of_arrivals_is_not_taken_for_their_rate() -> None:
    arrivals = burst(0.5, 12, seconds=2.0)
    outcome = play(arrivals, [1.5] * len(arrivals), BentLaw(SPEC), Cluster(ColdStart(5.0)))
    assert outcome.started <= 8


def test_four_tasks_at_once_per_pod() -> None:
    arrivals = poisson(4.0, 3600)
    services = exponential(len(arrivals), 8.0)
    spec = replace(SPEC, target=TargetWait(60.0), concurrency=4)
    outcome = play(arrivals, services, BentLaw(spec), Cluster(ColdStart(10.0), concurrency=4))
    assert p95(outcome) <= 60
    assert over_work(outcome, services) * 4 < 1.3


def test_service_times_that_grow_fivefold_and_fall_again() -> None:
    arrivals = poisson(1.0, 3 * 1800)
    services = exponential(len(arrivals), 3.0)
    services = [5 * s if 1800 <= at < 3600 else s for at, s in zip(arrivals, services, strict=True)]
    outcome = play(arrivals, services, BentLaw(SPEC))
    assert p95(outcome) <= 30
    assert over_work(outcome, services) < 1.3


def test_longer_tasks_show_before_many_of_them_are_done() -> None:
    """The slots that wait for them start nothing meanwhile: pods for the others are wanted at once."""
    arrivals = poisson(1.0, 3 * 1800)
    services = exponential(len(arrivals), 3.0)
    services = [5 * s if 1800 <= at < 3600 else s for at, s in zip(arrivals, services, strict=True)]
    outcome = play(arrivals, services, BentLaw(replace(SPEC, target=TargetWait(60.0))), Cluster(ColdStart(30.0)))
    assert sum(wait > 60 for wait in outcome.waits) / len(arrivals) < 0.03
    assert over_work(outcome, services) < 1.12


def test_few_long_tasks_among_many_short_ones() -> None:
    arrivals = poisson(1.0, 7200)
    dice = random.Random(3)
    services = [100.0 if dice.random() < 0.03 else 0.1 for _ in arrivals]
    outcome = play(arrivals, services, BentLaw(SPEC), Cluster(ColdStart(5.0)))
    assert p95(outcome) <= 30
    assert over_work(outcome, services) < 1.2


def test_pods_that_only_caught_up_with_a_burst_are_not_kept_for_the_next() -> None:
    """Where pods take as long as tasks may wait, many come late at once; fewer would do, were they there."""
    arrivals = [at for n in range(12) for at in burst(5.0 + 240 * n, 300)]
    services = [1.5] * len(arrivals)
    outcome = play(arrivals, services, BentLaw(SPEC), Cluster(ColdStart(30.0)))
    assert p95(outcome) <= 33
    assert over_work(outcome, services) < 13


def test_a_target_shorter_than_the_cold_start_is_met_by_pods_that_stay() -> None:
    """None that starts when the task comes would be in time; what they cost is less than what they are there for."""
    arrivals = [at for n in range(60) for at in burst(5.0 + 60 * n, 20, 5.0)]
    outcome = play(
        arrivals, [1.0] * len(arrivals), BentLaw(replace(SPEC, target=TargetWait(10.0))), Cluster(ColdStart(30.0))
    )
    assert sum(wait > 10 for wait in outcome.waits) / len(arrivals) < 0.1


def test_a_pod_is_kept_from_the_end_of_its_task_not_from_its_start() -> None:
    law = BentLaw(SPEC)
    play([0.0, 900.0], [100.0, 1.0], law)
    gone = next(seen.now for seen, decision in law.log if decision.replicas < seen.replicas)
    assert 5 < gone - 110 < 20


def test_tasks_of_a_tenth_of_a_second_and_of_five_minutes() -> None:
    arrivals = poisson(1.0, 7200)
    dice = random.Random(3)
    services = [300.0 if dice.random() < 0.03 else 0.1 for _ in arrivals]
    outcome = play(
        arrivals, services, BentLaw(replace(SPEC, target=TargetWait(60.0))), Cluster(ColdStart(10.0), grace=330)
    )
    assert p95(outcome) <= 60
    assert outcome.killed == 0


def test_a_burst_after_hours_of_nothing() -> None:
    arrivals = [0.0, *burst(4 * 3600, 400), *burst(8 * 3600, 400)]
    services = [2.0] * len(arrivals)
    law = BentLaw(SPEC)
    outcome = play(arrivals, services, law)
    assert p95(outcome) <= 30
    asleep = [decision for seen, decision in law.log if 5 * 3600 < seen.now < 7 * 3600]
    assert {(d.replicas, d.reason) for d in asleep} == {(0, Reason.IDLE)}


def test_a_redis_without_counters_meets_the_target_too() -> None:
    arrivals = sorted([*poisson(1.0, 3600), *burst(1200, 300), *burst(2500, 600)])
    services = exponential(len(arrivals), 5.0)
    outcome = play(arrivals, services, BentLaw(SPEC), Cluster(ColdStart(10.0), counters=False))
    assert p95(outcome) <= 30
    assert over_work(outcome, services) < 1.6


def test_a_count_that_stops_at_its_cap_still_scales_to_the_maximum() -> None:
    def capped(seen: Observation) -> Observation:
        return replace(seen, waiting=min(seen.waiting, 61), waiting_exact=seen.waiting < 61)

    arrivals = burst(10.0, 2000, 60.0)
    law = BentLaw(replace(SPEC, max_replicas=30), bend=capped)
    play(arrivals, [8.0] * len(arrivals), law)
    assert max(decision.replicas for _, decision in law.log) >= 25


def test_a_minute_of_unknown_holds_and_then_goes_on() -> None:
    def blind(seen: Observation) -> Observation:
        if 600 <= seen.now < 660:
            return Observation(now=seen.now, known=False, pods=seen.pods, replicas=seen.replicas)
        return seen

    arrivals = poisson(2.0, 1800)
    services = exponential(len(arrivals), 4.0)
    law = BentLaw(SPEC, bend=blind)
    outcome = play(arrivals, services, law)
    during = [(seen, decision) for seen, decision in law.log if not seen.known]
    assert len(during) == 60
    assert all(d.replicas == s.replicas and d.reason is Reason.UNKNOWN and not d.victims for s, d in during)
    assert p95(outcome) <= 35


def test_a_restart_of_the_operator_in_the_middle_of_a_burst() -> None:
    arrivals = sorted([*poisson(0.5, 3000), *burst(1500, 800)])
    services = exponential(len(arrivals), 4.0)
    law = BentLaw(SPEC, restarts=(1505.0, 1520.0))
    outcome = play(arrivals, services, law)
    fell = [s.now for s, d in law.log if d.replicas < s.replicas and 1505 <= s.now < 1550]
    assert fell == []
    assert p95(outcome) <= 35


def test_clock_jumps_neither_empty_nor_flood_the_fleet() -> None:
    """An hour forward, then an hour and a half back."""

    def jump(now: float) -> float:
        return now + (3600 if 900 <= now < 1500 else -1800 if now >= 1500 else 0)

    def jumping(seen: Observation) -> Observation:
        moved = jump(seen.now) - seen.now
        pods = tuple(
            replace(p, created=p.created + moved, ready_at=p.ready_at and p.ready_at + moved) for p in seen.pods
        )
        return replace(seen, now=seen.now + moved, pods=pods)

    arrivals = poisson(2.0, 2400)
    services = exponential(len(arrivals), 4.0)
    law = BentLaw(SPEC, bend=jumping)
    outcome = play(arrivals, services, law)
    assert p95(outcome) <= 35
    assert max(decision.replicas for _, decision in law.log) <= 30


def test_entries_of_dead_consumers_keep_one_pod_and_no_more() -> None:
    arrivals = [*burst(5.0, 30), 3600.0]
    law = BentLaw(SPEC, bend=lambda seen: replace(seen, pending=seen.pending + 40))
    play(arrivals, [3.0] * len(arrivals), law)
    late = [decision.replicas for seen, decision in law.log if 1800 < seen.now < 3500]
    assert set(late) == {1}


def test_pods_that_never_become_ready_are_not_asked_for_again_and_again() -> None:
    arrivals = burst(5.0, 200)
    law = BentLaw(SPEC)
    cluster = Cluster(ColdStart(10.0), nodes=Nodes(first=1, pods_each=4, limit=1))
    outcome = play(arrivals, [20.0] * len(arrivals), law, cluster)
    assert len(outcome.waits) == 200
    assert outcome.started <= 200
    stuck = [d for s, d in law.log if any(p.state is PodState.UNSCHEDULABLE for p in s.pods)]
    assert any(decision.reason is Reason.UNSCHEDULABLE for decision in stuck)


def test_a_maximum_that_is_too_small_is_used_in_full_and_named() -> None:
    arrivals = poisson(2.0, 1200)
    services = [10.0] * len(arrivals)
    law = BentLaw(replace(SPEC, max_replicas=8))
    outcome = play(arrivals, services, law)
    middle = [(s, d) for s, d in law.log if 300 < s.now < 1100]
    assert all(decision.replicas == 8 for _, decision in middle)
    assert all(decision.reason is Reason.AT_MAX for _, decision in middle)
    assert outcome.started == 8


@pytest.mark.parametrize("state", [PodState.FAILING, PodState.STARTING])
def test_one_bad_pod_does_not_pin_the_fleet(state: PodState) -> None:
    """The first pod fails, or starts for ever; the other pods of its time must go all the same."""

    def broken(seen: Observation) -> Observation:
        pods = tuple(replace(p, state=state, ready_at=None) if p.name == "w1" else p for p in seen.pods)
        return replace(seen, pods=pods)

    arrivals = [*burst(5.0, 200), 2000.0]
    law = BentLaw(SPEC, bend=broken)
    play(arrivals, [5.0] * len(arrivals), law)
    assert max(decision.replicas for _, decision in law.log) > 10
    assert {d.replicas for s, d in law.log if 1900 < s.now < 1990} == {0}
