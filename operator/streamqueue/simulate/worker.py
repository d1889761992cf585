"""A worker pod of the simulation."""

from __future__ import annotations

from streamqueue.scaling import Pod, PodState

WATCH = 0.05  # seconds until the operator's watch shows a mark


class Worker:
    __slots__ = ("cordoned", "created", "marked_at", "name", "ready_at", "running", "seen", "state", "takes", "views")

    def __init__(self, name: str, created: float) -> None:
        self.name = name
        self.created = created
        self.ready_at: float | None = None
        self.state = PodState.STARTING
        self.running: set[int] = set()
        self.marked_at: float | None = None
        self.cordoned = False  # was told to take no more
        self.takes = True  # it heeds that a moment later
        self.seen: Pod | None = None  # what an observation shows, until something changes
        self.views: dict[int, Pod] = {}  # by the number of tasks in its hands, until its state or mark changes

    def change(self) -> None:
        """Its state or its mark is another: what was seen of it holds no longer."""
        self.seen = None
        self.views.clear()

    def look(self) -> Pod:
        pending = len(self.running)
        if (view := self.views.get(pending)) is None:
            marked = self.marked_at is not None
            shown = None if self.marked_at is None else self.marked_at + WATCH
            view = self.views[pending] = Pod(
                self.name,
                self.state,
                self.created,
                self.ready_at,
                pending,
                marked,
                marked_since=shown,
                cordoned=self.cordoned,
            )
        self.seen = view
        return view


def removal_order(worker: Worker) -> tuple[int, bool, float]:
    """A ReplicaSet's order: unassigned, not ready, lowest deletion cost, youngest."""
    rank = {PodState.UNSCHEDULABLE: 0, PodState.STARTING: 1}.get(worker.state, 2)
    since = worker.created if worker.ready_at is None else worker.ready_at
    return (rank, worker.marked_at is None, -since)
