"""The simulated fleet against the plainest replay of the same tasks that can be written."""

from __future__ import annotations

import random
import tracemalloc
from heapq import heappop, heappush
from pathlib import Path

import pytest

from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import Scaling
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.compare import OURS, compare
from streamqueue.simulate.figures import figures_of, over_time
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import KedaConfig, KedaLaw, StreamQueueLaw
from streamqueue.simulate.outcome import Outcome
from streamqueue.simulate.trace import Trace

from .test_fleet import Plan

QUEUE = {"redis": {"url": "redis://r"}, "stream": "s", "group": "g", "handler": {"image": "i"}}


def replay(arrivals: list[float], services: list[float], slots: int, ready: float) -> list[float]:
    """Waits of tasks that are served in order by so many slots, there from `ready` on."""
    free = [ready] * slots
    waits = []
    for at, service in zip(arrivals, services, strict=True):
        start = max(at, heappop(free))
        waits.append(start - at)
        heappush(free, start + service)
    return waits


@pytest.mark.parametrize(("pods", "concurrency"), [(1, 1), (3, 1), (2, 4)])
def test_waits_and_costs_are_those_of_a_replay(pods: int, concurrency: int) -> None:
    dice = random.Random(pods)
    arrivals = sorted(dice.random() * 600 for _ in range(400))
    arrivals[0] = 0.0
    services = [dice.expovariate(1 / 4.0) for _ in arrivals]
    cluster = Cluster(ColdStart(7.0), concurrency)
    outcome = Fleet(arrivals, services, cluster, Plan(((0, pods),))).run()
    expected = replay(arrivals, services, pods * concurrency, 7.0)
    assert outcome.waits == pytest.approx(expected)
    end = max(at + wait + service for at, wait, service in zip(arrivals, expected, services, strict=True))
    assert outcome.pod_seconds == pytest.approx(pods * end)
    figures = figures_of(Trace("t", arrivals, services), outcome, 30.0, concurrency)
    assert figures.late == sum(wait > 30 for wait in expected) / len(expected)
    assert figures.over_work == pytest.approx(pods * end * concurrency / sum(services))


def laws() -> tuple[StreamQueueLaw, KedaLaw]:
    return StreamQueueLaw(Scaling(max_replicas=20)), KedaLaw(KedaConfig(max_replicas=20))


@pytest.mark.parametrize("which", [0, 1])
def test_years_without_a_task_cost_no_time_and_no_memory(which: int) -> None:
    """A stream that nobody trims, or a trace with one time that is off."""
    year = 365 * 86400.0
    arrivals = [start + 2.0 * n for start in (0.0, year, 50 * year) for n in range(20)]
    outcome = Fleet(arrivals, [3.0] * 60, Cluster(ColdStart(5.0)), laws()[which]).run()
    assert len(outcome.timeline) < 5000
    assert max(outcome.waits) < 40
    tracemalloc.start()
    assert figures_of(Trace("t", arrivals, [3.0] * 60), outcome, 30.0, 1).worst_hour == 0.0
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


class EachLook(Fleet):
    """Looks at nothing, too."""

    @property
    def empty_until(self) -> float:
        return self.now


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_passed_over_changes_nothing(which: int) -> None:
    """The same tasks, with a look at every period of the silence between them."""
    arrivals = [start + 0.7 * n for start in (0.0, 3000.3, 9000.6) for n in range(60)]
    services = [4.0] * len(arrivals)

    def run(world: type[Fleet]) -> Outcome:
        return world(arrivals, services, Cluster(ColdStart(5.0)), laws()[which]).run()

    passed, looked = run(Fleet), run(EachLook)
    assert passed.waits == pytest.approx(looked.waits)
    assert passed.pod_seconds == pytest.approx(looked.pod_seconds)
    assert len(passed.timeline) < len(looked.timeline)
    assert over_time(passed, 1, 9000.0, 50) == over_time(looked, 1, 9000.0, 50)


def test_at_zero_tasks_that_gather_are_looked_at() -> None:
    arrivals = [*(9.0 * n for n in range(200)), 6000.0]
    spec = Scaling(max_replicas=20, concurrency=4)

    def waits(world: type[Fleet]) -> list[float]:
        return world(arrivals, [1.0] * 201, Cluster(ColdStart(5.0), 4), StreamQueueLaw(spec)).run().waits

    assert waits(Fleet) == pytest.approx(waits(EachLook))


def test_tasks_that_may_wait_for_half_a_day_are_waited_for() -> None:
    trace = Trace("t", [60.0 * n for n in range(120)], [10.0] * 120)
    spec = parse_spec({**QUEUE, "scaling": {"targetWait": "12h"}})
    outcomes = compare(spec, trace, Cluster(ColdStart(10.0)), alone=True, seed=0)
    assert max(outcomes[OURS].waits) < 12 * 3600


def test_every_law_is_played_until_a_task_of_hours_lets_the_next_one_run() -> None:
    trace = Trace("t", [0.0, 60.0], [6 * 3600.0, 1.0])
    spec = parse_spec({**QUEUE, "scaling": {"maxReplicas": 1}})
    outcomes = compare(spec, trace, Cluster(ColdStart(10.0)), alone=False, seed=0)
    assert len(outcomes) == 3
    for name, outcome in outcomes.items():
        assert 6 * 3600 - 60 <= outcome.waits[1] < 7 * 3600, name


def test_the_plot_is_a_png_whatever_its_name_and_the_traces(tmp_path: Path) -> None:
    from streamqueue.simulate.plot import plot

    trace = Trace("a $\\b$ _c", [0.0, 1.0], [1.0, 1.0])
    outcome = Fleet(trace.arrivals, trace.services, Cluster(ColdStart(1.0)), Plan(((0, 1),))).run()
    for name in ("day", "day.pdf", "day.nothing"):
        plot(tmp_path / name, trace, {"StreamQueue": outcome}, 30.0)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
