"""A worker pod of the simulation."""

from __future__ import annotations

from streamqueue.scaling import Pod, PodState


class Worker:
    __slots__ = ("created", "marked", "name", "ready_at", "running", "seen", "state", "views")

    def __init__(self, name: str, created: float) -> None:
        self.name = name
        self.created = created
        self.ready_at: float | None = None
        self.state = PodState.STARTING
        self.running: set[int] = set()
        self.marked = False
        self.seen: Pod | None = None  # what an observation shows, until something changes
        self.views: dict[tuple[PodState, bool, int], Pod] = {}

    def look(self) -> Pod:
        key = (self.state, self.marked, len(self.running))
        if (view := self.views.get(key)) is None:
            view = self.views[key] = Pod(
                self.name, self.state, self.created, self.ready_at, pending=len(self.running), marked=self.marked
            )
        self.seen = view
        return view


def removal_order(worker: Worker) -> tuple[int, bool, float]:
    """A ReplicaSet's order: unassigned, not ready, lowest deletion cost, youngest."""
    rank = {PodState.UNSCHEDULABLE: 0, PodState.STARTING: 1}.get(worker.state, 2)
    since = worker.created if worker.ready_at is None else worker.ready_at
    return (rank, not worker.marked, -since)
