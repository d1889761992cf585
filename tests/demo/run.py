"""Feeds the trace, looks on, kills a busy worker, and waits for zero pods."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from examples.llm.producer import arrivals, replay

from tests.demo.sample import Sample
from tests.demo.stage import GROUP, QUEUE, RESULTS, STREAM
from tests.kube.kubectl import Kubectl
from tests.kube.view import View

SPEED = 5.0  # ten minutes of the trace in two
LOOK = 0.25  # seconds between samples
KILL_AT = 0.4  # of all tasks done
PATIENCE = 150.0  # seconds from the last task added to zero pods
WORKERS = {"streamqueue.dev/queue": QUEUE, "app.kubernetes.io/component": "worker"}


@dataclass
class Run:
    """One run. Times are seconds since the first task; None: it never happened."""

    redis: Any
    view: View
    kubectl: Kubectl
    note: Callable[[str], None]
    added: list[str] = field(default_factory=list)
    peak: int = 0
    first_pod: float | None = None
    zero: float | None = None
    killed: str | None = None
    _began: float = 0.0
    _fed: threading.Event = field(default_factory=threading.Event)

    def go(self, show: Callable[[Sample], None]) -> None:
        """Returns at zero pods with all done, or when `PATIENCE` is over."""
        tasks = sum(1 for _ in arrivals())
        feeder = threading.Thread(target=self._feed, daemon=True)
        feeder.start()
        patience: float | None = None
        while self.zero is None and (patience is None or time.monotonic() < patience):
            if self.added:
                sample = self._look()
                show(sample)
                self._mark(sample, tasks)
            if self._fed.is_set() and patience is None:
                patience = time.monotonic() + PATIENCE
                self.note(f"all {len(self.added)} tasks are added")
            time.sleep(LOOK)

    def _feed(self) -> None:
        for task in replay(self.redis, STREAM, SPEED):
            if not self.added:
                self._began = time.monotonic()
            self.added.append(task)
        self._fed.set()

    def _look(self) -> Sample:
        groups = {group["name"]: group for group in self.redis.xinfo_groups(STREAM)}
        group = groups[GROUP]
        waiting = self.redis.xrange(STREAM, f"({group['last-delivered-id']}", "+")
        oldest = time.time() - int(waiting[0][0].partition("-")[0]) / 1000 if waiting else 0.0
        deployment = self.view.get("deployments", QUEUE)
        return Sample(
            at=time.monotonic() - self._began,
            added=len(self.added),
            waiting=len(waiting),
            pending=group["pending"],
            done=self.redis.xlen(RESULTS),
            oldest=max(0.0, oldest),
            replicas=deployment["spec"]["replicas"] if deployment else 0,
            ready=deployment.get("status", {}).get("readyReplicas", 0) if deployment else 0,
        )

    def _mark(self, sample: Sample, tasks: int) -> None:
        self.peak = max(self.peak, sample.replicas)
        if self.first_pod is None and sample.ready:
            self.first_pod = sample.at
        if self.killed is None and sample.done > KILL_AT * tasks:
            self._kill(sample)
        idle = self._fed.is_set() and not (sample.waiting or sample.pending or sample.replicas)
        if idle and not self.view.all("pods", WORKERS):
            self.zero = sample.at

    def _kill(self, sample: Sample) -> None:
        pods = {pod["metadata"]["name"] for pod in self.view.all("pods", WORKERS)}
        for consumer in self.redis.xinfo_consumers(STREAM, GROUP):
            if consumer["pending"] and consumer["name"] in pods:
                self.killed = consumer["name"]
                self.kubectl("delete", "pod", self.killed, "--grace-period=0", "--force")
                self.note(f"killed {self.killed} with {consumer['pending']} task in its hands, at {sample.at:.0f} s")
                return
