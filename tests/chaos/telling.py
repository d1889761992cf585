"""What those who wait for a storm, and those who read of it, are told."""

from __future__ import annotations

import sys
import time

from benchmarks.report import machine

from tests.chaos.weather import Aftermath


class Progress:
    """A line every ten seconds for whoever waits."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = 0.0

    def __call__(self, after: Aftermath) -> None:
        if time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            faults = ", ".join(f"{count} {name}" for name, count in sorted(after.faults.items()))
            counts = f"{len(after.acknowledged):,} sent, {len(after.runs):,} done"
            print(f"{self._name}: {after.seconds:.0f} s, {counts}; {faults}", file=sys.stderr, flush=True)


ROWS = {
    "kill": "workers killed",
    "term": "workers told to end",
    "cordon": "workers told to take no more for a while",
    "restart": "Redis restarted",
    "failover": "failed over to the replica",
    "network": "network cut or slow",
    "lost reply": "replies lost",
}


def page(title: str, beginning: str, results: dict[str, Aftermath]) -> str:
    """A page of Markdown with a column for each of `results`."""
    rows = {
        "sent and acknowledged": [f"{len(after.acknowledged):,}" for after in results.values()],
        "lost": [f"{after.lost:,}" for after in results.values()],
        "done more than once": [f"{after.duplicates:,}" for after in results.values()],
        "faults times tasks in flight": [f"{after.allowed_duplicates:,}" for after in results.values()],
        "pending at the end": [str(after.pending) for after in results.values()],
        "consumers at the end": [str(after.consumers) for after in results.values()],
    }
    for fault, what in ROWS.items():
        if any(after.faults[fault] for after in results.values()):
            rows[what] = [str(after.faults[fault]) for after in results.values()]
    rows["seconds"] = [f"{after.seconds:.0f}" for after in results.values()]
    lines = [f"# {title}", "", beginning, "", f"On {machine()}, {time.strftime('%Y-%m-%d', time.gmtime())}.", ""]
    lines += [f"| | {' | '.join(results)} |", "|---|" + "---:|" * len(results)]
    lines += [f"| {what} | {' | '.join(cells)} |" for what, cells in rows.items()]
    return "\n".join(lines) + "\n"
