"""targetWait with looks far apart, in a rollout that is stuck, and where not all is known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from streamqueue.api.spec import TargetWait
from streamqueue.scaling import Memory, Observation, Pod, PodState, decide
from streamqueue.simulate.cluster import Cluster, ColdStart

from .build import look, pods
from .play import BentLaw, over_work, p95, play
from .test_deadline import SPEC, burst, exponential, poisson


@pytest.mark.parametrize("interval", [0.2, 15.0, 60.0])
def test_looks_that_are_close_or_far_apart_teach_the_same(interval: float) -> None:
    """Tasks of 40 s, at any allowed pollingInterval."""
    arrivals = poisson(0.5, 7200)
    services = exponential(len(arrivals), 40.0)
    law = BentLaw(replace(SPEC, target=TargetWait(600.0), polling_interval=interval))
    outcome = play(arrivals, services, law)
    assert p95(outcome) <= 600
    assert law.memory is not None and law.memory.learnt is not None
    assert 30 < law.memory.learnt.service.seconds < 55
    assert over_work(outcome, services) < 1.4


def test_pods_of_a_rollout_that_get_stuck_take_nothing_from_those_that_work() -> None:
    """A new image can't be pulled: beside the replicas three pods fail, while the old ones work and more are needed."""

    def grown(stuck: tuple[Pod, ...]) -> list[int]:
        memory: Memory | None = None
        counts = []
        for now in range(700):
            behind = max(0, now - 600)  # ten pods of 5 s a task do two a second; now three come
            seen = look(
                float(now),
                pods=(*pods(*[1] * 10), *stuck) if behind else pods(*[1] * 10),
                replicas=10,
                rollout=behind > 0,
                waiting=behind,
                oldest_waiting_age=behind / 3,
                last_delivered_age=behind / 3,
                entries_added=2 * now + behind,
            )
            decision, memory = decide(SPEC, memory, seen)
            counts.append(decision.replicas)
        return counts

    stuck = tuple(Pod(f"new{i}", PodState.FAILING, 600.0, pending=0) for i in range(3))
    assert max(grown(())) > 12
    assert grown(stuck) == grown(())


@pytest.mark.parametrize("concurrency", [1, 4])
def test_pods_that_nobody_has_created_yet_are_not_asked_for_again(concurrency: int) -> None:
    """Where the API server is slow, or a quota is full, the Deployment asks for pods that don't exist."""
    spec = replace(SPEC, concurrency=concurrency)
    memory: Memory | None = None
    counts = [0]
    for now in range(8):
        seen = look(float(now), replicas=counts[-1], waiting=100, oldest_waiting_age=now + 0.5, entries_added=100)
        decision, memory = decide(spec, memory, seen)
        counts.append(decision.replicas)
    assert counts[1] > 10
    assert set(counts[1:]) == {counts[1]}


def test_a_new_process_plans_for_all_of_a_backlog_that_is_counted_in_part() -> None:
    """Before Redis 8 large entries are counted up to some megabytes; the server's own counters tell of the others."""

    def counted(seen: Observation) -> Observation:
        if seen.waiting <= 128:
            return seen
        return replace(seen, waiting=128, waiting_exact=False, waiting_likely=seen.waiting)

    class Late(BentLaw):
        def next_look(self, now: float) -> float:
            return max(300.0, super().next_look(now))

    arrivals = burst(10.0, 20_000, 60.0)
    outcome = play(arrivals, [2.0] * len(arrivals), Late(SPEC, bend=counted))
    assert max(at + wait for at, wait in zip(arrivals, outcome.waits, strict=True)) < 300 + 20_000 * 2.0 / 200 * 1.2


@pytest.mark.parametrize(("rate", "share"), [(1.0, 0.01), (1.0, 0.03), (0.2, 0.01)])
def test_long_tasks_that_hold_every_slot_are_seen_by_their_silence(rate: float, share: float) -> None:
    """Few tasks take five minutes, the others a tenth of a second: on average, a slot is free soon."""
    arrivals = poisson(rate, 7200 / rate)
    dice = random.Random(7)
    services = [300.0 if dice.random() < share else 0.1 for _ in arrivals]
    outcome = play(arrivals, services, BentLaw(SPEC), Cluster(ColdStart(10.0), grace=330.0))
    assert p95(outcome) <= 30
    assert sum(wait > 30 for wait in outcome.waits) / len(arrivals) < 0.04


@pytest.mark.parametrize(("rate", "cost"), [(0.5, 1.5), (1.0, 1.3)])
def test_pods_that_start_are_not_thought_to_be_held_by_the_long_tasks_of_others(rate: float, cost: float) -> None:
    """One task in ten takes a minute, the others a second. While no slot was free, ever more pods were asked for; most
    of them went before they were ready.
    """
    arrivals = poisson(rate, 7200 / rate)
    dice = random.Random(7)
    services = [60.0 if dice.random() < 0.1 else 1.0 for _ in arrivals]
    outcome = play(arrivals, services, BentLaw(replace(SPEC, target=TargetWait(60.0))), Cluster(ColdStart(30.0)))
    assert p95(outcome) <= 60
    assert over_work(outcome, services) < cost


def test_a_sentence_shows_only_what_is_known() -> None:
    looks = [look(float(now), waiting=128, waiting_exact=False, pods=pods(1)) for now in range(2)]
    _, memory = decide(SPEC, None, looks[0])
    decision, _ = decide(SPEC, memory, looks[1])
    assert "at least 128 waiting; 10.0 s a task (assumed); pods take 5 s" in decision.sentence
    decision, _ = decide(SPEC, None, look(0.0, waiting=128, oldest_waiting_age=0.0))
    assert decision.sentence.endswith("; 10.0 s a task (assumed); pods take 10 s (assumed)")


@pytest.mark.parametrize("behind", [5.0, 60.0])
def test_an_operator_whose_clock_is_off_decides_as_others_do(behind: float) -> None:
    """To it, pods are created in the future; by the nodes' clocks they may be ready before they were created."""

    def skewed(seen: Observation) -> Observation:
        return replace(seen, pods=tuple(replace(pod, created=pod.created + behind) for pod in seen.pods))

    arrivals = [at for n in range(10) for at in burst(5.0 + 300 * n, 200)]
    services = [0.5] * len(arrivals)
    law = BentLaw(SPEC, bend=skewed)
    outcome = play(arrivals, services, law)
    assert p95(outcome) <= 30
    assert max(decision.replicas for seen, decision in law.log if seen.now > 300) <= 20
