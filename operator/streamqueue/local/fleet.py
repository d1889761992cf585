"""Worker processes, as the operator has pods."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex

from streamqueue.api.template import ENV_PREFIX
from streamqueue.scaling import Pod, PodState

LONGEST_START = 3.0  # seconds after which a process counts as ready, seen reading or not
SOON = 10.0  # seconds: a process that ends sooner by itself is not replaced at once
BACKOFF, LONGEST_BACKOFF = 1.0, 30.0  # seconds, doubling
LONGEST_LINE = 1 << 20  # bytes of output that are shown


def named_after(consumer: str, workers: Container[str]) -> str:
    """The process that a consumer bears the name of; those of the SDK add a dot and a word to it."""
    return consumer if consumer in workers else consumer.rpartition(".")[0]


@dataclass(slots=True)
class Worker:
    """One process. Times are monotonic seconds."""

    name: str
    process: asyncio.subprocess.Process
    created: float
    ready_at: float | None = None
    told_at: float | None = None  # to go
    marked_at: float | None = None  # as a victim


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that is no more; whatever it held is free."""

    name: str
    code: int


@dataclass(slots=True)
class Fleet:
    """`command` in `replicas` processes. `say` takes each line that they write: name, text."""

    queue: str
    command: Sequence[str]
    environment: Mapping[str, str]
    grace: float  # seconds between SIGTERM and SIGKILL
    say: Callable[[str, str], None]
    replicas: int = 0
    workers: dict[str, Worker] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)  # until somebody takes them
    _run: str = field(default_factory=lambda: token_hex(2))  # there may be another on the same queue, or orphans of one
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _readers: set[asyncio.Task[None]] = field(default_factory=set)
    _wait_until: float = 0.0
    _backoff: float = BACKOFF

    def note_readers(self, consumers: Sequence[str]) -> None:
        """Consumers that the group knows: those processes read, so they are ready."""
        reading, now = {named_after(consumer, self.workers) for consumer in consumers}, time.monotonic()
        for worker in self.workers.values():
            if worker.ready_at is None and (worker.name in reading or now - worker.created > LONGEST_START):
                worker.ready_at = now

    def views(self, pending: Mapping[str, int | None], cordoned: Container[str]) -> tuple[Pod, ...]:
        """The processes as `decide` sees them; `pending`: entries in each one's hands."""
        return tuple(
            Pod(
                each.name,
                _state(each),
                each.created,
                each.ready_at,
                pending.get(each.name),
                marked=each.marked_at is not None,
                marked_since=each.marked_at,
                cordoned=each.name in cordoned,
            )
            for each in self.workers.values()
        )

    async def resize(self, replicas: int, victims: Sequence[str]) -> None:
        """Start what is missing, mark `victims`, and tell the surplus to go: the unready and the marked first."""
        self.replicas = replicas
        for worker in self.workers.values():
            if (worker.marked_at is not None) != (worker.name in victims):
                worker.marked_at = time.monotonic() if worker.name in victims else None
            if worker.told_at is not None and time.monotonic() - worker.told_at > self.grace:
                _signal(worker, signal.SIGKILL)
        live = [worker for worker in self.workers.values() if worker.told_at is None]
        if time.monotonic() >= self._wait_until:
            for _ in range(replicas - len(live)):
                await self._start()
        live.sort(key=lambda worker: (worker.ready_at is not None, worker.marked_at is None, -worker.created))
        for worker in live[: max(0, len(live) - replicas)]:
            self._tell(worker)

    async def stop(self) -> None:
        """Tell all to go, and wait for them; what outlasts the grace is killed."""
        for worker in self.workers.values():
            self._tell(worker)
        if self._readers:
            await asyncio.wait(self._readers, timeout=self.grace)
        self.kill()
        if self._readers:
            await asyncio.wait(self._readers)

    def kill(self) -> None:
        """All that are left, at once."""
        for worker in self.workers.values():
            _signal(worker, signal.SIGKILL)

    async def _start(self) -> None:
        name = f"{self.queue}-{self._run}-{next(self._numbers)}"
        # With a pipe of asyncio's own, a process has not ended while a child that it left behind holds the other end.
        ours, theirs = os.pipe()
        lines = asyncio.StreamReader(LONGEST_LINE)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(ours, "rb", 0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                env={**plain_environment(), **self.environment, "STREAMQUEUE_CONSUMER": name},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,  # Ctrl-C is for us: they are told by SIGTERM
            )
        finally:
            os.close(theirs)  # where nobody else has it, ours ends as well
        worker = self.workers[name] = Worker(name, process, time.monotonic())
        reader = asyncio.create_task(self._follow(worker, lines, pipe))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _follow(self, worker: Worker, lines: asyncio.StreamReader, pipe: asyncio.ReadTransport) -> None:
        """Pass on what it writes; take note of its end."""
        output = asyncio.create_task(self._pass_on(worker.name, lines))
        code = await worker.process.wait()
        _signal(worker, signal.SIGKILL)  # what it may have left behind in its session
        with suppress(TimeoutError):
            await asyncio.wait_for(output, 1.0)
        pipe.close()
        del self.workers[worker.name]
        self.ended.append(Ended(worker.name, code))
        now = time.monotonic()
        if worker.told_at is None and now - worker.created < SOON:
            self._say(worker.name, f"{_ending(code)}; the next one starts in {self._backoff:.0f} s")
            self._wait_until, self._backoff = now + self._backoff, min(2 * self._backoff, LONGEST_BACKOFF)
        elif now - worker.created >= SOON:
            self._backoff = BACKOFF
            if worker.told_at is None:
                self._say(worker.name, _ending(code))

    async def _pass_on(self, name: str, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:
                continue  # longer than the limit: left out
            if not line:
                return
            self._say(name, line.decode("utf-8", "backslashreplace").rstrip())

    def _say(self, name: str, text: str) -> None:
        with suppress(OSError):  # nobody listens any more; a worker must not wait for a full pipe
            self.say(name, text)

    def _tell(self, worker: Worker) -> None:
        if worker.told_at is None:
            worker.told_at = time.monotonic()
            with suppress(ProcessLookupError):
                worker.process.terminate()


def plain_environment() -> dict[str, str]:
    """Ours, without what is for a worker: a file with another Redis's URL would go before ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}


def _state(worker: Worker) -> PodState:
    if worker.told_at is not None:
        return PodState.TERMINATING
    return PodState.STARTING if worker.ready_at is None else PodState.READY


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _signal(worker: Worker, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, number)
