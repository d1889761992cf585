"""`python -m benchmarks.redis [--servers a,b] [--queues n] [--seconds s]`: snapshots per second over one connection.

The server runs on the same machine. CPU time per snapshot tells what each side costs whatever else the machine does;
the server's own rate is what its CPU time would allow if it had a core to itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from redis.asyncio import Redis
from tests.redis.servers.install import install
from tests.redis.servers.lock import SOURCES
from tests.redis.servers.process import RunningServer

from benchmarks.report import machine, publish
from streamqueue.streams import Snapshot, SnapshotRequest, connect, ensure_group, take_snapshots

GOAL = 20_000  # snapshots per second, two cores shared with the server


@dataclass(frozen=True, slots=True)
class Row:
    server: str
    state: str  # of each queue
    snapshots_per_second: float  # median of the rounds
    slowest_round: float  # snapshots per second
    fastest_round: float
    client_microseconds: float  # CPU time per snapshot
    server_microseconds: float


STATES = {
    "idle": (20, 20, 20),  # entries, read, acknowledged
    "busy": (40, 30, 10),
}


async def prepare(client: Redis, queues: int, entries: int, read: int, acknowledged: int) -> list[SnapshotRequest]:
    await client.flushall()
    requests = [SnapshotRequest(f"queue:{n}", "workers", cap=101, everyone=False) for n in range(queues)]
    for request in requests:
        await ensure_group(client, request.stream, request.group)
        async with client.pipeline(transaction=False) as pipe:
            for n in range(entries):
                pipe.xadd(request.stream, {"task": "x" * 200}, id=f"1700000000000-{n}")
            for worker in range(10):
                pipe.xreadgroup(request.group, f"pod-{worker}", {request.stream: ">"}, count=read // 10)
            pipe.xack(request.stream, request.group, *[f"1700000000000-{n}" for n in range(acknowledged)])
            await pipe.execute()
    return requests


async def measure(running: RunningServer, queues: int, seconds: float) -> list[Row]:
    rows = []
    async with connect(running.url) as client:
        for state, (entries, read, acknowledged) in STATES.items():
            requests = await prepare(client, queues, entries, read, acknowledged)
            await take_snapshots(client, requests)
            client_cpu, server_cpu = time.process_time(), cpu_seconds(running.pid)
            rates: list[float] = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                start = time.perf_counter()
                answers = await take_snapshots(client, requests)
                rates.append(queues / (time.perf_counter() - start))
                for answer in answers:
                    assert isinstance(answer, Snapshot), answer
                    assert (answer.undelivered, answer.pending) == (entries - read, read - acknowledged)
            taken = len(rates) * queues / 1e6
            rows.append(
                Row(
                    running.server.name,
                    state,
                    statistics.median(rates),
                    min(rates),
                    max(rates),
                    (time.process_time() - client_cpu) / taken,
                    (cpu_seconds(running.pid) - server_cpu) / taken,
                )
            )
    return rows


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(rows: list[Row], queues: int, load: float) -> str:
    lines = [
        f"# Snapshots per second: {queues} queues, one connection",
        "",
        f"{machine()}, shared by client and server; load average {load:.1f} at the start. Goal: {GOAL:,} per second.",
        "",
        "Where others use the cores, CPU time tells more than the clock: `with a core each` is what it allows when "
        "client and server don't wait for one another.",
        "",
        "| server | queues | snapshots/s, median | slowest round | fastest | client, CPU µs | server, CPU µs "
        "| server's own /s | with a core each |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        slower = max(row.client_microseconds, row.server_microseconds)
        lines.append(
            f"| {row.server} | {row.state} | {row.snapshots_per_second:,.0f} | {row.slowest_round:,.0f} "
            f"| {row.fastest_round:,.0f} | {row.client_microseconds:.0f} | {row.server_microseconds:.0f} "
            f"| {1e6 / row.server_microseconds:,.0f} | {1e6 / slower:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="redis-6.0,redis-7.0,redis-8.6,valkey-9.1", help=", ".join(SOURCES))
    parser.add_argument("--queues", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="per server and state")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for name in options.servers.split(","):
        running = RunningServer(install(name))
        try:
            rows += asyncio.run(measure(running, options.queues, options.seconds))
        finally:
            running.close()
    text = table(rows, options.queues, load)
    figures = [asdict(row) for row in rows]
    publish("redis", text, {"machine": machine(), "load": load, "queues": options.queues, "rows": figures})


if __name__ == "__main__":
    main()
