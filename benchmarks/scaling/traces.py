"""The arrival traces of `benchmarks/traces` as arrival times and service seconds. Same seed, same tasks."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from streamqueue.simulate.trace import Trace

FOLDER = Path(__file__).parent.parent / "traces"
MEAN_SERVICE, SERVICE_CV = 8.0, 0.8
HOUR = 3600.0


def _rows(name: str) -> Iterator[list[str]]:
    with (FOLDER / name).open(newline="") as file:
        yield from csv.reader(file)


def _services(count: int, dice: random.Random) -> list[float]:
    sigma = math.sqrt(math.log(1 + SERVICE_CV**2))
    mu = math.log(MEAN_SERVICE) - sigma**2 / 2
    return [dice.lognormvariate(mu, sigma) for _ in range(count)]


def azure_code() -> Trace:
    """A production LLM service for code: 2.6 requests a second with bursts of 33, one hour."""
    arrivals, services = [], []
    rows = _rows("azure-llm-code.csv")
    next(rows)
    first = None
    for time, context, generated in rows:
        at = datetime.fromisoformat(time[:26]).timestamp()
        first = at if first is None else first
        arrivals.append(at - first)
        services.append(0.2 + int(context) / 4000 + 0.03 * int(generated))
    return Trace("azure-code", arrivals, services)


def mm_image(hours: float = 6.0) -> Trace:
    """A production multimodal service: gaps drawn from each client's own law, window by window."""
    dice = random.Random(1)
    arrivals = []
    for row in _rows("servegen-mm-image.csv"):
        window, rate, shape, scale = float(row[1]), float(row[2]), float(row[5]), float(row[6])
        if window >= hours * HOUR or rate <= 0:
            continue
        gap = dice.gammavariate if row[4] == "Gamma" else (lambda a, b: dice.weibullvariate(b, a))
        mean = shape * scale if row[4] == "Gamma" else scale * math.gamma(1 + 1 / shape)
        # The scale is in units of the mean gap or in seconds, by origin; the rate settles it.
        stretch = 1 / (rate * mean)
        at = window + gap(shape, scale) * stretch * dice.random()
        while at < window + 600:
            arrivals.append(at)
            at += gap(shape, scale) * stretch
    arrivals.sort()
    return Trace("mm-image", arrivals, _services(len(arrivals), dice))


def twitter() -> Trace:
    """Mentions of a company as an arrival intensity: 0.18 tasks a second, one burst of thirty times that."""
    dice = random.Random(2)
    arrivals = []
    rows = _rows("nab-twitter-amzn.csv")
    next(rows)
    for slot, row in enumerate(rows):
        if slot == 2 * 288:  # days of five minutes each
            break
        arrivals += sorted(slot * 300 + 300 * dice.random() for _ in range(int(row[1])))
    return Trace("twitter-amzn", arrivals, _services(len(arrivals), dice))


TRACES: dict[str, Callable[[], Trace]] = {"azure-code": azure_code, "mm-image": mm_image, "twitter-amzn": twitter}
