"""What we know of the cluster now: queues, and the objects and pods that belong to them.

The only state that watches and the loop share. It is written by `show` and `remove` (the watch), `replace` (each full
list) and `put` (the API's answers to our own writes) alone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from streamqueue.controller.cluster import managed_fields
from streamqueue.controller.kinds import CRON_JOBS, PODS, STREAM_QUEUES, Body, Kind
from streamqueue.controller.pods.states import is_marked, remains
from streamqueue.manifests.labels import QUEUE, RECLAIM

Key = tuple[str, str]  # namespace and name of a queue

# For a standby, and for queues that are rejected, nobody takes what tells of the end of pods.
GONE_KEPT = 600.0  # seconds
GONE_MOST = 1000  # pods of a queue


class Gone(NamedTuple):
    """A pod that the watch saw go at this time of the loop's clock; of its body, what tells how it ended."""

    at: float
    pod: Body


@dataclass(slots=True)
class Holdings:
    """What was last seen of one queue."""

    queue: Body | None = None
    owned: dict[Kind, Body] = field(default_factory=dict)
    pods: dict[str, Body] = field(default_factory=dict)
    # Pods that the watch saw go, until the crash tracker has taken them, or it is too late for that.
    gone: deque[Gone] = field(default_factory=lambda: deque(maxlen=GONE_MOST))
    # Since when the watch or a list shows a pod's mark as a victim, on the loop's clock: our own write proves nothing.
    marked_since: dict[str, float] = field(default_factory=dict)

    @property
    def body(self) -> Body:
        """The queue, for who works on one that exists. Where it was deleted meanwhile, that work ends here."""
        assert self.queue is not None
        return self.queue

    @property
    def key(self) -> Key:
        return self.body["metadata"]["namespace"], self.body["metadata"]["name"]

    @property
    def seniority(self) -> tuple[str, Key]:
        """Sorts queues, the oldest first."""
        return self.body["metadata"]["creationTimestamp"], self.key


class Store:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._holdings: dict[Key, Holdings] = {}
        self._clock = clock
        # Uids of what is gone, with the version it went at: an answer or a list from before must not bring it back.
        self._buried: dict[Kind, dict[str, int]] = {}

    def queues(self) -> Iterator[tuple[Key, Holdings]]:
        """The queues that exist, without those that are only held by a finalizer."""
        return ((key, held) for key, held in self._holdings.items() if _stays(held))

    def has(self, key: Key) -> bool:
        """Whether it is one of these."""
        held = self._holdings.get(key)
        return held is not None and _stays(held)

    def get(self, key: Key) -> Holdings | None:
        return self._holdings.get(key)

    def put(self, kind: Kind, body: Body) -> None:
        """Take this answer to a write of ours, unless a newer state is known already."""
        self._take(kind, body, shown=False)

    def show(self, kind: Kind, body: Body) -> None:
        """Take this state of an object from the watch or a list, unless a newer one is known already."""
        self._take(kind, body, shown=True)

    def _take(self, kind: Kind, body: Body, *, shown: bool) -> None:
        key = _key(kind, body)
        if shown:
            self._release(kind, body, key)
        if key is None or version_of(body) <= self._buried.get(kind, {}).get(body["metadata"]["uid"], -1):
            return
        held = self._holdings.setdefault(key, Holdings())
        known = _find(held, kind, body)
        if known is not None and _same(known, body):
            if version_of(known) > version_of(body):
                return
            if known["metadata"].get("resourceVersion") == body["metadata"].get("resourceVersion", ""):
                body = known  # what has lived long costs Python's collector nothing
        managed_fields.cut(body["metadata"])
        if kind is STREAM_QUEUES:
            if not _same(known, body):
                # A round of the last one of this name may be under way: it finds its queue gone.
                held.queue, self._holdings[key] = None, replace(held, queue=body)
            else:
                held.queue = body
        elif kind is PODS:
            held.pods[body["metadata"]["name"]] = body
            if not is_marked(body):
                held.marked_since.pop(body["metadata"]["name"], None)
            elif shown:
                held.marked_since.setdefault(body["metadata"]["name"], self._clock())
        else:
            held.owned[kind] = body

    def _release(self, kind: Kind, body: Body, key: Key | None) -> None:
        """Whose owner or label somebody changed is gone, to the queue that held it by them."""
        former = _named_after(kind, body)
        held = self._holdings.get(former) if former != key else None
        known = _find(held, kind, body) if held else None
        if known and _same(known, body) and version_of(known) < version_of(body):
            version = body["metadata"]["resourceVersion"]
            self.remove(kind, known | {"metadata": known["metadata"] | {"resourceVersion": version}})

    def remove(self, kind: Kind, body: Body) -> None:
        """The object is gone; an object of its name with another uid stays."""
        self._buried.setdefault(kind, {})[body["metadata"]["uid"]] = version_of(body)
        key = _key(kind, body)
        held = self._holdings.get(key) if key else None
        if key is None or held is None or not _same(_find(held, kind, body), body):
            return
        if kind is STREAM_QUEUES:
            held.queue = None
        elif kind is PODS:
            held.marked_since.pop(body["metadata"]["name"], None)
            self._bury(held, held.pods.pop(body["metadata"]["name"]) | {"status": body.get("status", {})})
        else:
            held.owned.pop(kind, None)
        if held.queue is None and not held.owned and not held.pods:
            del self._holdings[key]

    def _bury(self, held: Holdings, pod: Body) -> None:
        now = self._clock()
        while held.gone and now - held.gone[0].at > GONE_KEPT:
            held.gone.popleft()
        held.gone.append(Gone(now, remains(pod)))

    def replace(self, kind: Kind, bodies: Iterable[Body], version: int, spared: Container[str] = ()) -> None:
        """A full list, taken at `version`: what was older and isn't in it is gone, even if no watch ever said so.

        But for what is in `spared` namespaces, which weren't listed.
        """
        listed = list(bodies)
        alive = {body["metadata"]["uid"] for body in listed}
        for (namespace, _), held in list(self._holdings.items()):
            for known in _all(held, kind) if namespace not in spared else ():
                if known["metadata"]["uid"] not in alive and version_of(known) <= version:
                    self.remove(kind, known)
        for body in listed:
            self.show(kind, body)
        self._buried[kind] = {uid: gone for uid, gone in self._buried.get(kind, {}).items() if gone > version}


def version_of(body: Body) -> int:
    """Of two states of one object the later has the greater one; 0 where there is none."""
    version = body["metadata"].get("resourceVersion", "0")
    return int(version) if version.isdecimal() else 0


def _key(kind: Kind, body: Body) -> Key | None:
    """The queue that this object belongs to. A label alone doesn't make a Deployment ours, its owner does."""
    metadata = body["metadata"]
    if kind is STREAM_QUEUES:
        return metadata["namespace"], metadata["name"]
    if kind is PODS:
        name = metadata.get("labels", {}).get(QUEUE)
        return (metadata["namespace"], name) if name else None
    owner = controller_of(body)
    return (metadata["namespace"], owner["name"]) if owner and owner["kind"] == STREAM_QUEUES.kind else None


def _named_after(kind: Kind, body: Body) -> Key:
    """The queue that an object of this name is of, if it is of any."""
    name: str = body["metadata"]["name"]
    if kind is PODS:
        name = name.rsplit("-", 2)[0]
    elif kind is CRON_JOBS:
        name = name.removesuffix(f"-{RECLAIM}")
    return body["metadata"]["namespace"], name


def controller_of(body: Body) -> Body | None:
    """The owner reference with `controller: true`, if any."""
    references: list[Body] = body["metadata"].get("ownerReferences", [])
    return next((reference for reference in references if reference.get("controller")), None)


def _stays(held: Holdings) -> bool:
    return held.queue is not None and "deletionTimestamp" not in held.queue["metadata"]


def _find(held: Holdings, kind: Kind, body: Body) -> Body | None:
    if kind is STREAM_QUEUES:
        return held.queue
    return held.pods.get(body["metadata"]["name"]) if kind is PODS else held.owned.get(kind)


def _all(held: Holdings, kind: Kind) -> list[Body]:
    if kind is PODS:
        return list(held.pods.values())
    found = held.queue if kind is STREAM_QUEUES else held.owned.get(kind)
    return [found] if found else []


def _same(one: Body | None, other: Body) -> bool:
    return one is not None and one["metadata"]["uid"] == other["metadata"]["uid"]
