"""`python -m benchmarks.worker [--tasks n] [--only a,b]`: tasks per second of one worker process, on one Redis.

Each contender's tasks are enqueued first; then one worker process runs them all. The rate per core is tasks by the CPU
time of the worker's processes, so that it holds whatever else the machine does; the wall rate is printed beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.redis.servers.install import install
from tests.redis.servers.process import RunningServer, free_port

from benchmarks.report import machine, publish
from benchmarks.worker.environments import python_of, version_of

HERE = Path(__file__).parent
CPUCLOCK_SCHED = 2  # linux/posix-timers.h
LIMIT = 300.0  # seconds for one run
QUICK = 5  # times as many no-op tasks for those who are done with them in less than a second
FAST = ("raw-batched", "raw-careful", "raw-waits", "ours", "ours-batch")
ROUNDS = 5  # of the fast ones, in turn: what else the machine does makes them slower by half
GUARANTEES = {
    "raw": "at least once while its own pending list is read again, which this loop does not; XACK one by one",
    "raw-batched": "the same; XACK for a hundred at once: a crash doubles up to a hundred",
    "raw-careful": "at least once, unfenced: the same, but it reads its own pending entries and claims those of others",
    "raw-waits": "as raw-batched; the server works as long for each hundred as the SDK's scripts do, for nothing",
    "ours": "at least once, fenced: leases, heartbeats, retries, dead letters, once-only sends; async def; what ended "
    "at the same time is acknowledged in one call: a crash doubles at most what was in hand",
    "ours-batch": "the same; a hundred tasks in one call (`@worker.batch`), each with a lease and an end of its own; "
    "the entries are those that the raw loop reads",
    "ours-plain": "the same; def in threads",
    "ours-http": "the same; the http runner, without the CPU time of its handler",
    "taskiq": "at least once; acknowledged after the task, unfenced",
    "arq": "at least once; a lock per job, unfenced after its timeout",
    "celery": "at least once (acks_late), by visibility timeout, unfenced",
    "dramatiq": "at least once; requeued when the worker's heartbeat ends, unfenced",
}
IN_THE_WAY = (
    "Between `ours` and a raw loop that acknowledges a hundred at once stands what each task gets in Python: a",
    "coroutine and its time limit, a context, a payload of the type that the handler asks for, two histograms, and a",
    "settlement whose lease and owner the server looks at. Tasks that do something hide it: see those of 1 ms. The",
    "http runner pays for a request each.",
    "",
    "`ours-batch` has no coroutine, timer, context or object for a task: a batch stays columns of ids and fields until",
    "something happens to one task alone. What is left in Python is a payload as text and its age; and, once for a",
    "call, an event loop between socket and handler. The server compares the token of each lease and the owner of each",
    "entry, registers the leases of the next ones, and hands all of them through Lua: several times the work of a bare",
    "XREADGROUP and XACK. `raw-waits` is the raw loop with that wait for the server: what it alone takes of a client",
    "varies from run to run, from a quarter to nothing.",
)
GOAL = 0.9


@dataclass(frozen=True, slots=True)
class Row:
    contender: str
    version: str
    task: str
    per_core: float  # tasks per second of CPU time of the worker
    wall: float  # tasks per second
    redis_microseconds: float  # CPU time of the server per task
    handler_microseconds: float = 0.0  # CPU time per task of a handler that is a process of its own


def measure(server: RunningServer, contender: str, tasks: int, seconds: float) -> Row:
    script = HERE / "contenders" / f"{contender.partition('-')[0]}.py"
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "BENCH_TASKS": str(tasks),
            "BENCH_SECONDS": str(seconds),
            "BENCH_REDIS_URL": server.url,
            "BENCH_FOLDER": folder,
            "BENCH_CONTENDER": contender,
            "BENCH_PORT": str(free_port()),
            "PYTHONPATH": str(HERE),
        }
        command = [python_of(contender), str(script)]
        subprocess.run([*command, "fill"], env=environment, check=True, timeout=LIMIT)
        with open(Path(folder) / "log", "wb") as log:
            modes = ["work", "handle"] if contender == "ours-http" else ["work"]
            processes = [subprocess.Popen([*command, mode], env=environment, stdout=log, stderr=log) for mode in modes]
            pids = [process.pid for process in processes]
            try:
                first = reached(Path(folder) / "first", processes, contender)
                before = [cpu_seconds(pid) for pid in (server.pid, *pids)]
                last = reached(Path(folder) / "last", processes, contender)
                after = [cpu_seconds(pid) for pid in (server.pid, *pids)]
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
    measured = tasks - tasks // 10
    redis_cpu, cpu, *handlers = (then - now for now, then in zip(before, after, strict=True))
    return Row(
        contender,
        version_of(contender),
        f"{seconds * 1000:g} ms" if seconds else "no-op",
        measured / cpu,
        measured / (last - first),
        redis_cpu / measured * 1e6,
        sum(handlers) / measured * 1e6,
    )


def reached(mark: Path, processes: list[subprocess.Popen[bytes]], contender: str) -> float:
    """The worker's monotonic time at the mark."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if mark.exists() and (text := mark.read_text()):
            return float(text)
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"{contender}'s worker ended:\n{(mark.parent / 'log').read_text()[-2000:]}")
        time.sleep(0.001)
    raise SystemExit(f"{contender} took longer than {LIMIT:g} s")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its living children, finer than the ticks in /proc/<pid>/stat."""
    own = time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)  # as clock_getcpuclockid(3) has it
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def table(rows: list[Row], server: str) -> str:
    lines = [
        "# Worker throughput",
        "",
        f"One worker process, one {server} on the same machine ({machine()}), appendonly off. Tasks per second of the",
        "worker's CPU time (one core), per second of wall time, and what each task costs the server. Of",
        f"{', '.join(FAST)} the median of {ROUNDS} runs, taken in turn.",
        "",
        "| task | contender | tasks/s/core | tasks/s | Redis µs/task | against raw-batched | against the best other |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        same = [other for other in rows if other.task == row.task]
        raw = next((other.per_core for other in same if other.contender == "raw-batched"), None)
        best = max((o.per_core for o in same if o.contender in ("taskiq", "arq", "celery", "dramatiq")), default=None)
        lines.append(
            f"| {row.task} | {row.contender} {row.version} | {row.per_core:,.0f} | {row.wall:,.0f} | "
            f"{row.redis_microseconds:.0f} | {ratio(row.per_core, raw)} | {ratio(row.per_core, best)} |"
        )
    names = {row.contender for row in rows}
    for task in dict.fromkeys(row.task for row in rows):
        per_core = {row.contender: row.per_core for row in rows if row.task == task}
        if {"ours-batch", "raw-batched"} <= per_core.keys():
            share = per_core["ours-batch"] / per_core["raw-batched"]
            word = "is reached" if share >= GOAL else "is missed"
            lines += ["", f"The goal for batches, {GOAL}x of raw-batched, {word} with {task} tasks: {share:.2f}x."]
    lines += [
        "",
        *(
            f"The http runner's handler took {row.handler_microseconds:.0f} µs more for each {row.task} task."
            for row in rows
            if row.handler_microseconds
        ),
    ]
    lines += ["", "What each gives:", "", *(f"- {name}: {text}." for name, text in GUARANTEES.items() if name in names)]
    return "\n".join([*lines, "", *IN_THE_WAY]) + "\n"


def ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}x" if base else "-"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=20_000, help="per contender and kind of task (a multiple of 500)")
    parser.add_argument("--only", default=",".join(GUARANTEES), help="comma list of contenders")
    parser.add_argument("--server", default="redis-7.0")
    options = parser.parse_args()
    contenders = options.only.split(",")
    if unknown := set(contenders) - set(GUARANTEES):
        parser.error(f"--only: {', '.join(sorted(unknown))} unknown; there are {', '.join(GUARANTEES)}")
    if options.tasks % 500 or options.tasks <= 0:
        parser.error("--tasks must be a multiple of 500")
    rows: list[Row] = []
    for seconds, all_tasks in ((0.0, options.tasks), (0.001, max(500, options.tasks // 4))):
        runs: dict[str, list[Row]] = {}
        for contender in contenders + [name for name in contenders if name in FAST] * (ROUNDS - 1):
            tasks = all_tasks * QUICK if contender in FAST and not seconds else all_tasks
            server = RunningServer(install(options.server))
            try:
                row = measure(server, contender, tasks, seconds)
            finally:
                server.close()
            print(row, file=sys.stderr, flush=True)
            runs.setdefault(contender, []).append(row)
        rows += (sorted(several, key=lambda row: row.per_core)[len(several) // 2] for several in runs.values())
    text = table(rows, options.server)
    if set(contenders) == set(GUARANTEES):
        publish("worker", text, {"machine": machine(), "server": options.server, "rows": [asdict(row) for row in rows]})
    else:
        print(text)


if __name__ == "__main__":
    main()
