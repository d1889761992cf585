"""The entries that this process holds: running, ended but not yet settled, or waiting to run alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from streamqueue.streams.settlement import Settlement
from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.worker.context import Context


class Run:
    """An entry that this process holds. `deadline`: unix seconds; `on_progress`: called when the handler reports it."""

    task: asyncio.Task[None] | None = None
    started = 0.0  # loop time
    is_late = False  # past the handler's timeout
    is_over = False  # settled, handed back or lost: what the handler still does changes nothing
    progress_sent = ""
    _ctx: Context | None = None

    def __init__(self, entry: Taken, deadline: float, on_progress: Callable[[], None]) -> None:
        self.entry = entry
        self._deadline = deadline
        self._on_progress = on_progress

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def ctx(self) -> Context:
        """Made when it is asked for: a batch of small tasks may never ask."""
        if self._ctx is None:
            self._ctx = Context(self.entry, self._deadline, self._on_progress)
        return self._ctx

    def begins(self, deadline: float) -> None:
        """To be called when it begins later than it was taken: it had to wait for others to end."""
        self.ctx.deadline = self._deadline = deadline

    @property
    def has_emitted(self) -> bool:
        return self._ctx is not None and bool(self._ctx.emits)

    def cancel(self) -> None:
        """Stop the handler; one in a thread is told by `ctx.cancelled`."""
        self.ctx.cancelled = True
        if self.task:
            self.task.cancel()


Ended = tuple[Run, Settlement]


class Bundle(Sequence[Run]):
    """The runs of entries that were taken together. They are only made when one is asked for: most batches begin, go
    well and are acknowledged as a whole.
    """

    is_done = False  # all of it went well while it was whole

    def __init__(self, new: NewEntries, runs_of: Callable[[list[Taken]], list[Run]]) -> None:
        self.new = new
        self._size = len(new)
        self._runs_of = runs_of
        self._runs: list[Run] | None = None

    @property
    def is_whole(self) -> bool:
        """No run of it has been asked for, so nothing has happened to one alone."""
        return self._runs is None

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if self._runs is None:
            self._runs = self._runs_of(self.new.entries())
            for run in self._runs:
                run.is_over = self.is_done
        return self._runs[index]

    def __iter__(self) -> Iterator[Run]:
        return iter(self[:])


def _asks_for_more(ended: Ended) -> bool:
    """Whether its settlement is more than an acknowledgement."""
    settlement = ended[1]
    return settlement.kind != "ack" or bool(settlement.emits)


class Runs:
    """Pure bookkeeping over `slots`."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._executing: set[Run] = set()
        self._bundle: Bundle | None = None  # executing; one at a time is kept whole
        self.ended: list[Ended] = []
        self.done: Bundle | None = None  # ended whole, but not yet settled
        # An entry whose run killed a worker runs with no other task beside it.
        self.alone: deque[Run] = deque()
        self._exclusive: Run | None = None

    def free(self, blocked: int) -> int:
        """How many entries may be taken now, where so many slots are blocked without a run."""
        if self.alone or self._exclusive:
            return 0
        together = 0 if self._bundle is None else len(self._bundle)
        return max(0, self._slots - len(self._executing) - together - blocked)

    @property
    def executing(self) -> set[Run]:
        """One by one: no bundle stays whole."""
        if self._bundle is not None:
            self._executing.update(self._bundle)
            self._bundle = None
        return self._executing

    def add(self, runs: list[Run]) -> list[Run]:
        """Those that may begin now; the others wait to run alone."""
        crashed = [run for run in runs if run.entry.crashes]
        if crashed:
            self.alone += crashed
            runs = [run for run in runs if not run.entry.crashes]
        self._executing.update(runs)
        return runs

    def add_whole(self, bundle: Bundle) -> Sequence[Run]:
        """Of new entries: no worker died of one."""
        if self._bundle is not None or self.done is not None:
            return self.add(list(bundle))
        self._bundle = bundle
        return bundle

    def end_whole(self) -> None:
        """Over with the bundle, all of which is done."""
        if self._bundle is not None:
            self._bundle.is_done = True
            self._bundle, self.done = None, self._bundle

    def next_alone(self) -> Run | None:
        """The next entry that must run alone, once nothing else runs."""
        if not self.alone or self.executing:
            return None
        self._exclusive = run = self.alone.popleft()
        self._executing.add(run)
        return run

    def end(self, ended: Sequence[Ended]) -> None:
        """Over with these; their leases are kept until Redis has confirmed the settlements."""
        self.drop([run for run, _ in ended])
        self.ended += ended

    def first_ended(self, most: int) -> list[Ended]:
        """Acknowledgements first: where Redis refuses something else, and fewer settlements go at once, they still get
        through.
        """
        self.ended.sort(key=_asks_for_more)
        return self.ended[:most]

    def drop(self, runs: Sequence[Run]) -> None:
        for run in runs:
            run.is_over = True
        self.executing.difference_update(runs)
        if self.alone:
            self.alone = deque(run for run in self.alone if not run.is_over)
        if self._exclusive and self._exclusive.is_over:
            self._exclusive = None

    def held(self) -> Iterator[Run]:
        """All whose lease must be renewed."""
        yield from self.executing
        yield from self.alone
        yield from (run for run, _ in self.ended)
        yield from self.done or ()

    @property
    def is_settled(self) -> bool:
        """Redis has confirmed how everything ended."""
        return not (self.ended or self.done)

    def __bool__(self) -> bool:
        return bool(self._executing or self._bundle or self.alone or not self.is_settled)
