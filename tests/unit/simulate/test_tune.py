"""The KEDA configuration that serves a trace best, against all that were tried."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from streamqueue.simulate import tune
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.laws import KedaConfig, Metric
from streamqueue.simulate.trace import Trace
from streamqueue.simulate.tune import COOLDOWNS, TARGETS, excerpt, run_keda, tune_keda

CLUSTER = Cluster(ColdStart(5.0))
BASE = KedaConfig(max_replicas=20)
METRICS = (Metric.LAG, Metric.DUAL, Metric.SUM)


@pytest.fixture(scope="module")
def bursts() -> Trace:
    dice = random.Random(7)
    arrivals = sorted(300.0 * n + dice.expovariate(1 / 20) for n in range(6) for _ in range(40))
    return Trace("bursts", [at - arrivals[0] for at in arrivals], [dice.expovariate(1 / 3) for _ in arrivals])


def quick(config: KedaConfig) -> KedaConfig:
    return replace(config, cooldown=60.0, stabilization=60.0, poll=5.0)


@pytest.mark.parametrize("target", [20.0, 0.5], ids=["met", "met by none"])
def test_the_cheapest_that_meets_the_target_or_else_the_one_that_misses_least(bursts: Trace, target: float) -> None:
    told: list[float] = []
    best = tune_keda(bursts, CLUSTER, target, BASE, METRICS, told.append)
    found = run_keda(bursts, CLUSTER, best, target)
    tried = [quick(replace(BASE, metric=metric, target=value)) for metric in METRICS for value in TARGETS]
    others = [run_keda(bursts, CLUSTER, each, target) for each in tried]
    if target == 20.0:
        assert found.p95 <= target
        assert found.pod_hours <= min(each.pod_hours for each in others if each.p95 <= target)
        assert any(each.p95 > target and each.pod_hours < found.pod_hours for each in others), "some are too cheap"
    else:
        assert target < found.p95 <= min(each.p95 for each in others)
    assert (best.poll, best.max_replicas) == (5.0, 20)
    assert told == [n / len(told) for n in range(1, len(told) + 1)]
    assert len(told) == len(METRICS) * (len(TARGETS) + len(COOLDOWNS))


def test_what_is_tried(monkeypatch: pytest.MonkeyPatch, bursts: Trace) -> None:
    seen: list[tuple[float, float]] = []
    targets: list[float] = []
    run = tune.run_keda

    def spy(trace: Trace, cluster: Cluster, config: KedaConfig, target: float) -> object:
        seen.append((config.cooldown, config.stabilization))
        targets.append(config.target)
        return run(trace, cluster, config, target)

    monkeypatch.setattr(tune, "run_keda", spy)
    tune_keda(bursts, CLUSTER, 30.0, BASE, (Metric.LAG,))
    assert seen == [(60.0, 60.0)] * len(TARGETS) + list(COOLDOWNS)
    assert tuple(targets[: len(TARGETS)]) == TARGETS and len(set(targets[len(TARGETS) :])) == 1


def test_what_it_came_to_is_for_the_target_and_the_slots(bursts: Trace) -> None:
    found = run_keda(bursts, Cluster(ColdStart(5.0), 4), BASE, 20.0)
    assert found.over_work == pytest.approx(found.pod_hours * 3600 * 4 / bursts.work)
    assert 0.0 < found.late < 1.0 and run_keda(bursts, Cluster(ColdStart(5.0), 4), BASE, 3600.0).late == 0.0


def test_a_long_trace_is_tried_on_its_busiest_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "EXCERPT", 20)
    slow, busy = [10.0 * n for n in range(40)], [400.0 + n for n in range(20)]
    arrivals = [*slow, *busy, *(500.0 + at for at in slow)]
    trace = Trace("t", arrivals, [float(n) for n in range(len(arrivals))])
    found = excerpt(trace)
    assert (found.arrivals, found.services) == ([float(n) for n in range(20)], trace.services[40:60])
    whole = Trace("t", arrivals[:20], trace.services[:20])
    assert excerpt(whole) is whole


def test_a_task_of_hours_is_played_to_its_end() -> None:
    trace = Trace("t", [0.0, 60.0], [6 * 3600.0, 1.0])
    assert 21_000 < run_keda(trace, CLUSTER, KedaConfig(max_replicas=1), 30.0).p99 < 22_000
