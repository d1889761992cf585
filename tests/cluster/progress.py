"""Shows which stage runs and how long the rest takes: a bar on a terminal, plain lines elsewhere."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tests.cluster.plan import USUAL, Stage, Step, Timing, seconds_left
from tests.cluster.settings import CACHE

MEASURED = CACHE / "durations.json"
PLAIN_SECONDS = 30
WORTH_SAYING_SECONDS = 2
WORTH_REMEMBERING_SECONDS = 8


def expected_seconds() -> dict[Stage, float]:
    """The usual durations, and in their place what this machine measured last."""
    seconds = dict(USUAL)
    with suppress(OSError, ValueError):
        measured = json.loads(MEASURED.read_text())
        seconds |= {stage: float(measured[stage]) for stage in Stage if stage in measured}
    return seconds


def remember(stage: Stage, seconds: float) -> None:
    """Keep a stage's duration for the next estimate."""
    measured: dict[str, float] = {}
    with suppress(OSError, ValueError):
        measured = json.loads(MEASURED.read_text())
    MEASURED.parent.mkdir(parents=True, exist_ok=True)
    MEASURED.write_text(json.dumps({**measured, stage: round(seconds, 1)}, indent=2) + "\n")


def clock(seconds: float) -> str:
    """`7:05`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """One run over the steps of a plan."""

    def __init__(self, steps: tuple[Step, ...], console: Console) -> None:
        self._steps = steps
        self._console = console
        self._expected = expected_seconds()
        self._began = time.monotonic()
        self._starts: dict[Stage, float] = {}
        self._ended: set[Stage] = set()
        self._details: dict[Stage, str] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show the progress while the block runs."""
        if self._console.is_terminal:
            with Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True):
                yield self
            return
        ticker = threading.Thread(target=self._tick, daemon=True)
        ticker.start()
        try:
            yield self
        finally:
            self._over.set()
            ticker.join()

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Callable[[str], None]]:
        """Run the block as this stage. It gets a function that shows what is being done just now."""
        began = time.monotonic()
        with self._lock:
            self._starts[stage] = began
        yield lambda detail: self._details.__setitem__(stage, detail)
        seconds = time.monotonic() - began
        with self._lock:
            self._ended.add(stage)
            if seconds >= WORTH_REMEMBERING_SECONDS:  # else it found its work done
                remember(stage, seconds)
        if seconds >= WORTH_SAYING_SECONDS:
            self._console.print(f"{stage}: {clock(seconds)}", highlight=False)

    def seconds_left(self) -> float:
        """Seconds until all steps are done."""
        now = time.monotonic()
        with self._lock:
            timings = {
                stage: Timing(
                    self._expected[stage],
                    now - self._starts[stage] if stage in self._starts else None,
                    stage in self._ended,
                )
                for step in self._steps
                for lane in step
                for stage in lane
            }
        return seconds_left(self._steps, timings)

    def _active(self) -> list[Stage]:
        with self._lock:
            return [stage for stage in self._starts if stage not in self._ended]

    def _render(self) -> Group:
        left, elapsed = self.seconds_left(), time.monotonic() - self._began
        head = Table.grid(padding=(0, 1))
        head.add_row(ProgressBar(total=elapsed + left or 1, completed=elapsed, width=40), f"about {clock(left)} left")
        lines = [
            Text(f"  {stage}  {self._details.get(stage, '')}", overflow="ellipsis", no_wrap=True)
            for stage in self._active()
        ]
        return Group(head, *lines)

    def _tick(self) -> None:
        while not self._over.wait(PLAIN_SECONDS):
            active = " and ".join(self._active())
            if active:
                self._console.print(f"{active}: about {clock(self.seconds_left())} left", highlight=False)
