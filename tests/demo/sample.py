"""One look at the queue, and what all looks together say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Sample:
    """`at`: seconds since the first task. `oldest`: seconds that the oldest waiting task has waited."""

    at: float
    added: int
    waiting: int
    pending: int
    done: int
    oldest: float
    replicas: int
    ready: int

    def line(self) -> str:
        """For a log."""
        return (
            f"{self.at:4.0f} s  added {self.added:5}  waiting {self.waiting:4}  pending {self.pending:3}  "
            f"done {self.done:5}  oldest {self.oldest:4.1f} s  pods {self.ready}/{self.replicas}"
        )


@dataclass(frozen=True)
class Outcome:
    """What became of the tasks. `waits`: seconds from the addition of each done task to its first start, sorted."""

    added: int
    distinct: int
    duplicates: int
    lost: int
    waits: tuple[float, ...]

    @property
    def p95_wait(self) -> float:
        return self.waits[max(0, -(-len(self.waits) * 95 // 100) - 1)] if self.waits else float("nan")


def account(added: Sequence[str], results: Iterable[Mapping[str, str]]) -> Outcome:
    """Compare the ids that the producer got with the result rows. An id of the stream begins with its time in ms."""
    starts: dict[str, float] = {}
    rows = 0
    for row in results:
        rows += 1
        started = float(row["started"])
        starts[row["task"]] = min(started, starts.get(row["task"], started))
    waits = sorted(max(0.0, started - int(task.partition("-")[0]) / 1000) for task, started in starts.items())
    lost = len(set(added) - starts.keys())
    return Outcome(len(added), len(starts), rows - len(starts), lost, tuple(waits))


def sparkline(values: Sequence[int], width: int) -> str:
    """The whole series in `width` characters; each shows the highest value of its share."""
    if not values:
        return ""
    share = max(1, -(-len(values) // width))
    peaks = [max(values[start : start + share]) for start in range(0, len(values), share)]
    top = max(max(peaks), 1)
    return "".join(_BARS[-(-peak * (len(_BARS) - 1) // top)] for peak in peaks)
