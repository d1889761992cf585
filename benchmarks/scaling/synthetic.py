"""Made-up arrivals of different characters, to hold the law against what it was not tuned on. Same seed, same tasks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from streamqueue.simulate.trace import Trace


def _lognormal(dice: random.Random, mean: float, cv: float) -> float:
    sigma = math.sqrt(math.log(1 + cv**2))
    return dice.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)


def _poisson(dice: random.Random, rate: Callable[[float], float], most: float, seconds: float) -> list[float]:
    """Arrivals at `rate(t)` tasks a second, which never exceeds `most`."""
    arrivals, at = [], dice.expovariate(most)
    while at < seconds:
        if dice.random() * most < rate(at):
            arrivals.append(at)
        at += dice.expovariate(most)
    return arrivals


def on_off() -> Trace:
    """Bursts of about a minute at five a second, three minutes apart; nothing between them."""
    dice = random.Random(11)
    arrivals, at = [], 0.0
    while at < 3 * 3600:
        at += dice.expovariate(1 / 180)
        end = at + dice.expovariate(1 / 60)
        arrivals += [at + x for x in _poisson(dice, lambda _: 5.0, 5.0, end - at)]
        at = end
    return Trace("on-off", arrivals, [_lognormal(dice, 4.0, 0.8) for _ in arrivals])


def diurnal() -> Trace:
    """A day pressed into six hours: from nearly nothing to four a second and back, without bursts."""
    dice = random.Random(12)
    arrivals = _poisson(dice, lambda t: 2.05 - 1.95 * math.cos(2 * math.pi * t / 21600), 4.0, 21600)
    return Trace("diurnal", arrivals, [_lognormal(dice, 5.0, 0.8) for _ in arrivals])


def bimodal() -> Trace:
    """One a second: nearly all take a tenth of a second, three in a hundred a hundred seconds."""
    dice = random.Random(13)
    arrivals = _poisson(dice, lambda _: 1.0, 1.0, 10800)
    return Trace("bimodal", arrivals, [100.0 if dice.random() < 0.03 else 0.1 for _ in arrivals])


def shift() -> Trace:
    """Steady arrivals whose tasks take five times as long for the middle hour."""
    dice = random.Random(14)
    arrivals = _poisson(dice, lambda _: 1.5, 1.5, 10800)
    return Trace("shift", arrivals, [_lognormal(dice, 15.0 if 3600 <= at < 7200 else 3.0, 0.8) for at in arrivals])


def batches() -> Trace:
    """Batches of very unequal size (Pareto) at random times, of tasks of two seconds."""
    dice = random.Random(15)
    arrivals, at = [], 0.0
    while at < 4 * 3600:
        at += dice.expovariate(1 / 150)
        arrivals += [at] * min(2000, int(8 * dice.paretovariate(1.2)))
    return Trace("batches", arrivals, [_lognormal(dice, 2.0, 0.5) for _ in arrivals])


def sparse() -> Trace:
    """A task every two minutes or so, for ten seconds each: a queue that needs a tenth of a pod."""
    dice = random.Random(16)
    arrivals = _poisson(dice, lambda _: 1 / 120, 1 / 120, 12 * 3600)
    return Trace("sparse", arrivals, [_lognormal(dice, 10.0, 0.8) for _ in arrivals])


def hourly() -> Trace:
    """Six hundred tasks at every full hour, over a trickle of one in ten seconds."""
    dice = random.Random(17)
    arrivals = _poisson(dice, lambda _: 0.1, 0.1, 6 * 3600)
    for hour in range(6):
        arrivals += [hour * 3600 + 20 * dice.random() for _ in range(600)]
    arrivals.sort()
    return Trace("hourly", arrivals, [_lognormal(dice, 4.0, 0.8) for _ in arrivals])


SYNTHETIC: dict[str, Callable[[], Trace]] = {
    "on-off": on_off,
    "diurnal": diurnal,
    "bimodal": bimodal,
    "shift": shift,
    "batches": batches,
    "sparse": sparse,
    "hourly": hourly,
}
