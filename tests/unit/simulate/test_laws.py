"""What KEDA and the HPA answer to counters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from streamqueue.simulate.laws import KedaConfig, KedaLaw, Metric


@dataclass
class Seen:
    """A queue and its Deployment at one moment."""

    now: float
    replicas: int
    waiting: int = 0
    pending: int = 0

    @property
    def empty_until(self) -> float:
        return self.now


def answer(config: KedaConfig, *looks: Seen) -> list[int]:
    law = KedaLaw(config)
    return [law.decide(seen) for seen in looks]


@pytest.mark.parametrize(
    ("metric", "waiting", "pending", "want"),
    [
        (Metric.LAG, 60, 15, 12),
        (Metric.PENDING, 60, 75, 15),
        (Metric.DUAL, 60, 15, 15),
        (Metric.DUAL, 80, 15, 16),
        (Metric.SUM, 10, 15, 17),
        (Metric.SUM, 11, 15, 18),
    ],
)
def test_what_each_trigger_asks_for(metric: Metric, waiting: int, pending: int, want: int) -> None:
    assert answer(KedaConfig(metric=metric), Seen(7, 10, waiting, pending)) == [want]


@pytest.mark.parametrize(
    ("replicas", "waiting", "want"),
    [
        *[(10, 54, 10), (10, 56, 12), (10, 45, 10), (10, 44, 9)],  # a tenth changes nothing
        *[(10, 1000, 20), (1, 1000, 5), (4, 1000, 8), (80, 1000, 90)],  # at most twice as many, or four more
        (10, 1, 2),  # no fewer than the minimum
    ],
)
def test_how_far_the_hpa_goes_at_once(replicas: int, waiting: int, want: int) -> None:
    assert answer(KedaConfig(min_replicas=2, max_replicas=90), Seen(7, replicas, waiting)) == [want]


def test_the_hpa_goes_down_to_the_most_of_its_window() -> None:
    looks = [
        Seen(7, 10, 50),
        Seen(22, 10, 30),
        Seen(37, 10, 10),
        Seen(307, 10, 10),
        Seen(322, 10, 10),
        Seen(337, 6, 10),
    ]
    assert answer(KedaConfig(), *looks) == [10, 10, 10, 10, 6, 2]


def test_what_the_window_remembers_raises_nothing() -> None:
    """The HPA wished for more than it may add at once."""
    assert answer(KedaConfig(), Seen(7, 1, 1000), Seen(22, 5, 10)) == [5, 5]


def test_the_hpa_looks_every_15_seconds_and_keda_every_30() -> None:
    looks = [Seen(7, 5, 50), Seen(8, 5, 500), Seen(21.9, 5, 500), Seen(22, 5, 500)]
    assert answer(KedaConfig(), *looks) == [10, 5, 5, 10]
    assert answer(KedaConfig(), Seen(0, 0), Seen(29.9, 0, 9), Seen(30, 0, 9)) == [0, 0, 1]


def test_keda_goes_to_zero_after_its_cooldown_from_any_count() -> None:
    before = [Seen(0, 9, 1), Seen(7, 9, 45)]
    config = KedaConfig(stabilization=600)
    assert answer(config, *before, Seen(299.9, 9), Seen(330, 9)) == [9, 9, 9, 0]
    assert answer(config, *before, Seen(300, 9)) == [9, 9, 0]
    assert answer(replace(config, min_replicas=2), *before, Seen(300, 9)) == [9, 9, 9]
    assert answer(KedaConfig(min_replicas=2), Seen(0, 0, 9)) == [2]
    assert answer(KedaConfig(min_replicas=2), Seen(0, 0)) == [2]
