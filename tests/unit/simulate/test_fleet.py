"""The simulated fleet against queueing theory and against itself."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import ClassVar

import pytest

from streamqueue.scaling import Observation, PodState
from streamqueue.simulate.cluster import Cluster, ColdStart, Nodes
from streamqueue.simulate.compare import report
from streamqueue.simulate.figures import figures_of, over_time, p95_over_time, percentile
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import KedaConfig, KedaLaw, Metric
from streamqueue.simulate.outcome import Outcome, tail
from streamqueue.simulate.trace import Trace
from streamqueue.simulate.worker import Worker, removal_order


@dataclass
class Plan:
    """So many replicas from each time on."""

    steps: tuple[tuple[float, int], ...]

    def next_look(self, now: float) -> float:
        return max(0.0, now + 1.0)

    def decide(self, fleet: Fleet) -> int:
        return [count for since, count in self.steps if since <= fleet.now][-1]


def erlang_c(servers: int, load: float) -> float:
    """The share of arrivals that have to wait in M/M/n."""
    inverse = 1.0
    for n in range(1, servers + 1):
        inverse = 1 + inverse * n / load
    blocking = 1 / inverse
    return blocking / (1 - load / servers * (1 - blocking))


def test_waits_follow_erlang_c() -> None:
    dice = random.Random(5)
    now, arrivals, services = 0.0, [], []
    for _ in range(150_000):
        now += dice.expovariate(1.0)
        arrivals.append(now)
        services.append(dice.expovariate(1 / 8.0))
    outcome = Fleet(arrivals, services, Cluster(ColdStart(0.0)), Plan(((0, 10),))).run()
    waited = sum(wait > 5.0 for wait in outcome.waits) / len(arrivals)
    expected = erlang_c(10, 8.0) * math.exp(-(10 - 8.0) / 8.0 * 5.0)
    assert abs(waited - expected) < 0.02


def test_a_pod_costs_from_creation_and_serves_after_its_cold_start() -> None:
    outcome = Fleet([0.0], [7.0], Cluster(ColdStart(12.0)), Plan(((0, 1),))).run()
    assert outcome.waits == [12.0]
    assert outcome.pod_seconds == 19.0


def test_long_tasks_are_played_to_their_end() -> None:
    services = [8 * 3600.0, 1.0]
    outcome = Fleet([0.0, 1.0], services, Cluster(ColdStart(0.0)), Plan(((0, 1),)), tail=tail(30.0, services)).run()
    assert outcome.pod_seconds == sum(services)


@pytest.mark.parametrize(
    ("target", "longest", "seconds"),
    [(30.0, 1.0, 14_400), (43_200.0, 1.0, 86_400), (30.0, 20_000.0, 23_630), (30.0, 1e7, 90_030)],
    ids=["hours", "twice a long target", "a long task", "at most a day of one that takes months"],
)
def test_how_long_the_last_tasks_are_waited_for(target: float, longest: float, seconds: float) -> None:
    assert tail(target, [1.0, longest, 1.0]) == seconds


def test_a_pod_that_must_go_costs_until_its_task_is_done_and_takes_no_other() -> None:
    plan = Plan(((0, 3), (10, 1)))
    outcome = Fleet([0.0, 50.0], [20.0, 1.0], Cluster(ColdStart(1.0)), plan).run()
    assert outcome.pod_seconds == 21.0 + 10.0 + 51.0
    assert [outcome.timeline[n] for n in (0, 1, 10)] == [(0.0, 3, 0, 1), (1.0, 3, 3, 0), (10.0, 1, 1, 0)]


def test_pods_go_in_a_replica_sets_order() -> None:
    """Without a node, not ready, marked, youngest."""
    pods = {name: Worker(name, 0.0) for name in ("old", "young", "marked", "starting", "unschedulable")}
    pods["starting"].created = pods["unschedulable"].created = 9.0
    pods["unschedulable"].state = PodState.UNSCHEDULABLE
    for at, name in enumerate(("marked", "old", "young")):
        pods[name].state, pods[name].ready_at = PodState.READY, float(at)
    pods["marked"].marked_at = 5.0
    assert [each.name for each in sorted(pods.values(), key=removal_order)] == [
        *("unschedulable", "starting", "marked", "young", "old")
    ]


def test_pods_are_counted() -> None:
    plan = Plan(((0, 1), (5, 3), (10, 1), (20, 2)))
    outcome = Fleet([0.0, 30.0], [1.0, 1.0], Cluster(ColdStart(1.0)), plan).run()
    assert (outcome.started, outcome.peak) == (4, 3)


def test_a_busy_pod_that_must_go_finishes_within_its_grace_or_is_killed_and_its_task_returns() -> None:
    plan = Plan(((0, 1), (5, 0), (300, 1)))
    kind = Fleet([0.0, 400.0], [60.0, 1.0], Cluster(ColdStart(1.0), grace=150), plan).run()
    assert kind.killed == 0
    assert kind.waits[0] == 1.0
    harsh = Fleet([0.0, 400.0], [60.0, 1.0], Cluster(ColdStart(1.0), grace=30, reclaim=100), plan).run()
    assert harsh.killed == 1
    assert harsh.waits[0] == 301.0


def test_a_task_of_a_killed_pod_is_pending_until_it_waits_again() -> None:
    class Watching(Plan):
        seen: ClassVar[list[tuple[int, int]]] = []

        def decide(self, fleet: Fleet) -> int:
            self.seen.append((fleet.waiting, fleet.pending))
            return super().decide(fleet)

    law = Watching(((0, 1), (5, 0), (200, 1)))
    Fleet([0.0], [60.0], Cluster(ColdStart(1.0), grace=30, reclaim=100), law).run()
    assert sorted(set(law.seen)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("counters", [True, False])
def test_what_the_law_sees(counters: bool) -> None:
    class Watching(Plan):
        def decide(self, fleet: Fleet) -> int:
            seen[fleet.now] = fleet.observe()
            return super().decide(fleet)

    seen: dict[float, Observation] = {}
    Fleet([0.0, 1.0, 1.0], [5.0] * 3, Cluster(ColdStart(2.0), counters=counters), Watching(((0, 1),))).run()
    told = {
        now: (each.waiting, each.pending, each.oldest_waiting_age, each.last_delivered_age, each.entries_added)
        for now, each in seen.items()
        if now in (0.0, 2.0, 12.0)
    }
    assert told == {
        0.0: (1, 0, 0.0, None, 1 if counters else None),
        2.0: (2, 1, 1.0, 2.0, 3 if counters else None),
        12.0: (0, 1, None, 11.0, 3 if counters else None),
    }


def test_pods_wait_for_nodes_and_nodes_come() -> None:
    nodes = Nodes(first=1, pods_each=2, limit=2, start=50.0)
    outcome = Fleet([0.0] * 6, [500.0] * 6, Cluster(ColdStart(1.0), nodes=nodes), Plan(((0, 6),))).run()
    assert sorted(outcome.waits) == [1.0, 1.0, 51.0, 51.0, 501.0, 501.0]


def test_empty_nodes_go_but_for_the_first_and_come_again_as_late() -> None:
    nodes, plan = Nodes(first=1, pods_each=2, limit=3, start=50.0), Plan(((0, 6), (200, 1), (300, 6)))
    arrivals = [0.0] * 6 + [300.0] * 6
    outcome = Fleet(arrivals, [100.0] * 12, Cluster(ColdStart(1.0), nodes=nodes), plan).run()
    assert outcome.waits == [1.0] * 2 + [51.0] * 4 + [0.0, 1.0] + [51.0] * 4


def test_what_a_report_says() -> None:
    trace = Trace("day", [0.0, 1800.0, 3600.0], [1800.0] * 3)
    outcome = Outcome([0.0, 20.0, math.inf], 7200.0, 3, 0, 2, [(0.0, 1, 0, 2), (10.0, 2, 1, 5), (3600.0, 0, 0, 1)])
    said = report(trace, {"ours": outcome}, 30.0, Cluster(ColdStart(15.0), concurrency=2)).splitlines()
    assert said[0] == (
        "day: 3 tasks in 1.00 h, 0.75 pod-hours of work; pods take 15 s; a task that waits longer than 30 s is late"
    )
    row = [cell.strip() for cell in said[4].strip("|").split("|")]
    assert row == ["ours", "2.00", "2.667", "20.0 s", "never", "never", "33.3 %", "0.0 %", "3", "2", "0"]
    assert said[5:7] == ["", "ours"]
    assert [(line.split("▁")[0].strip(" ▂▃▄▅▆▇█"), line.split()[-1]) for line in said[7:9]] == [
        ("replicas", "2"),
        ("waiting", "5"),
    ]
    assert said[9].startswith(" p95 wait ") and said[9].endswith(" 20 s") and len(said) == 10


def test_keda_leaves_zero_at_its_poll_and_doubles_by_the_hpa() -> None:
    law = KedaLaw(KedaConfig(target=1.0, metric=Metric.LAG))
    outcome = Fleet([1.0] * 100, [600.0] * 100, Cluster(ColdStart(1000.0)), law).run()
    grown = [replicas for time, replicas, _, _ in outcome.timeline if time < 100]
    assert grown[:8] == [0, 0, 0, 1, 5, 10, 10, 20]


def test_kedas_pending_trigger_never_wakes() -> None:
    law = KedaLaw(KedaConfig(metric=Metric.PENDING))
    outcome = Fleet([1.0], [1.0], Cluster(ColdStart(1.0)), law).run()
    assert outcome.started == 0
    assert outcome.waits == [math.inf]


def test_figures() -> None:
    trace = Trace("t", [float(i) for i in range(200)], [1.0] * 200)
    outcome = Fleet(trace.arrivals, trace.services, Cluster(ColdStart(0.0)), Plan(((0, 2),))).run()
    figures = figures_of(trace, outcome, 30.0, 1)
    assert figures.late == 0.0
    assert figures.over_work == outcome.pod_seconds / 200
    waits = [float(n) for n in range(200)]
    figures = figures_of(trace, Outcome(waits[::-1], pod_seconds=7200.0), 30.0, 1)
    assert (figures.p50, figures.p95, figures.p99, figures.late) == (99.0, 189.0, 197.0, 169 / 200)
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0.25, 0.5, 0.95)] == [1.0, 2.0, 4.0]


def test_the_worst_hour_is_one_with_enough_tasks() -> None:
    busy, few = [18.0 * n for n in range(200)], [7200.0 + n for n in range(50)]  # and an hour of nothing between them
    trace = Trace("t", [*busy, *few], [0.0] * 250)
    outcome = Outcome([31.0] * 10 + [30.0] * 190 + [31.0] * 50, pod_seconds=7200.0)
    figures = figures_of(trace, outcome, 30.0, 1)
    assert (figures.worst_hour, figures.late, figures.pod_hours, figures.over_work) == (0.05, 0.24, 2.0, math.inf)
    hours = Trace("t", [36.0 * n for n in range(300)], [0.0] * 300)
    outcome = Outcome([30.0] * 100 + [31.0] * 7 + [30.0] * 193, pod_seconds=1.0)
    assert figures_of(hours, outcome, 30.0, 1).worst_hour == 0.07  # the second of three
    short = figures_of(Trace("t", [0.0, 1.0, 2.0], [1.0] * 3), Outcome([31.0, 0.0, 0.0], 9.0), 30.0, 2)
    assert (short.worst_hour, short.over_work) == (1 / 3, 6.0)


def test_what_is_drawn_over_time() -> None:
    trace = Trace("t", [0.0, 1.0, 2.0, 9.0, 10.0], [1.0] * 5)
    assert p95_over_time(trace, [1.0, 3.0, 2.0, 7.0, 5.0], 5) == [3.0, 2.0, 0.0, 0.0, 7.0]
    outcome = Outcome([], 0.0, timeline=[(0.0, 1, 0, 7), (3.0, 5, 1, 2), (3.5, 4, 1, 3), (12.0, 2, 0, 0)])
    assert over_time(outcome, 1, 10.0, 5) == [1, 5, 0, 0, 2]
    assert over_time(outcome, 3, 10.0, 5) == [7, 3, 0, 0, 0]
