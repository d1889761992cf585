"""How many more pods are worth their cost."""

from __future__ import annotations

from collections.abc import Callable


def best_addition(cost: Callable[[int], float], most: int) -> int:
    """The number of pods, 0..most, at which `cost` is least.

    The cost falls and then rises (late tasks fall ever more slowly with more pods), so a search over its slope
    finds the bottom in a few evaluations.
    """
    low, high = 0, 1
    while high < most and cost(high) < cost(high // 2):
        high *= 2
    high = min(high, most)
    while high - low > 2:
        middle = (low + high) // 2
        if cost(middle) <= cost(middle + 1):
            high = middle + 1
        else:
            low = middle
    return min(range(low, high + 1), key=cost)
