"""Tables, sparklines and a progress bar for a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence

from streamqueue.simulate.figures import Figures

TICKS = "▁▂▃▄▅▆▇█"
HEADERS = ("law", "pod-hours", "÷ work", "p50", "p95", "p99", "late", "worst hour", "started", "peak", "killed")


def row(name: str, figures: Figures) -> list[str]:
    """One line of the table whose columns are `HEADERS`."""
    return [
        name,
        f"{figures.pod_hours:.2f}",
        f"{figures.over_work:.3f}",
        *(_seconds(value) for value in (figures.p50, figures.p95, figures.p99)),
        f"{100 * figures.late:.1f} %",
        f"{100 * figures.worst_hour:.1f} %",
        str(figures.started),
        str(figures.peak),
        str(figures.killed),
    ]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns lined up."""
    widths = [max(len(line[i]) for line in (headers, *rows)) for i in range(len(headers))]
    lines = [headers, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], *rows]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def sparkline(values: Sequence[float]) -> str:
    """The values as a row of blocks, the greatest full."""
    finite = [value for value in values if math.isfinite(value)]
    top = max(finite, default=0.0)
    if top <= 0:
        return TICKS[0] * len(values)
    return "".join(TICKS[min(len(TICKS) - 1, int(min(value, top) / top * len(TICKS)))] for value in values)


class Progress:
    """A bar with the time left on standard error, where that is a terminal."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._began = self._shown = time.monotonic()

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._shown < 0.2:
            return
        self._shown = now
        left = (now - self._began) * (1 - share) / share if share > 0 else 0.0
        filled = int(share * 30)
        sys.stderr.write(
            f"\r{self.label} [{'#' * filled}{'.' * (30 - filled)}] {100 * share:3.0f} %, {left:3.0f} s left "
        )
        sys.stderr.flush()

    def done(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if math.isfinite(value) else "never"
