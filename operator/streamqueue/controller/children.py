"""Brings what a queue owns to what it should be, and writes only where that differs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from streamqueue.controller.kinds import DEPLOYMENTS, Kind
from streamqueue.controller.kube import Body, Kube, KubeError
from streamqueue.controller.store import Holdings, Store, controller_of


class NameConflict(Exception):
    """An object of the name we need is somebody else's. Nothing was written."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(
            f"{kind.kind} {name} exists and isn't this queue's: rename the queue, or delete that {kind.kind}"
        )


class Refused(Exception):
    """The API server finds the object invalid: the message is its own."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(slots=True)
class Applied:
    """What we last wrote of each kind, and the generation that the API server gave it.

    A generation that has moved since tells of a hand edit; no field-by-field comparison, which would have to know
    every default of the API server.
    """

    marks: dict[Kind, tuple[str, int | None]] = field(default_factory=dict)


async def converge(
    kube: Kube, store: Store, held: Holdings, applied: Applied, desired: Iterable[tuple[Kind, Body]]
) -> None:
    """Create what is missing, in this order, then apply what differs, all at once: a wake waits for one write only.

    A scale-down carries the resourceVersion it was decided on. Raises `NameConflict`, `Refused`, `KubeError`.
    """
    assert held.queue is not None
    uid = held.queue["metadata"]["uid"]

    def wrote(kind: Kind, body: Body, written: Body) -> None:
        applied.marks[kind] = (_fingerprint(body), _generation(written))
        store.put(kind, written)

    async def apply(kind: Kind, body: Body, live: Body) -> None:
        wrote(kind, body, await _apply(kube, kind, body, live))

    changes: list[tuple[Kind, Body, Body]] = []
    for kind, body in desired:
        live = held.owned.get(kind)
        if live is None or not _is_of(live, uid):
            wrote(kind, body, await _create(kube, kind, body, uid))
        elif applied.marks.get(kind) != (_fingerprint(body), _generation(live)):
            changes.append((kind, body, live))
    # The last, the fleet, goes first: it takes the connection that is open.
    answers = await asyncio.gather(*(apply(*change) for change in reversed(changes)), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


async def _create(kube: Kube, kind: Kind, body: Body, uid: str) -> Body:
    try:
        return await kube.create(kind, body)
    except KubeError as error:
        if error.status == 422:
            raise Refused(kind, error.message) from None
        if error.reason != "AlreadyExists":
            raise
    metadata = body["metadata"]
    existing = await kube.get(kind, metadata["namespace"], metadata["name"])
    if existing is None or not _is_of(existing, uid):
        raise NameConflict(kind, metadata["name"])
    return await _apply(kube, kind, body, existing)


async def _apply(kube: Kube, kind: Kind, body: Body, live: Body) -> Body:
    fence = {"uid": live["metadata"]["uid"]}
    if kind is DEPLOYMENTS and body["spec"]["replicas"] < live["spec"]["replicas"]:
        fence["resourceVersion"] = live["metadata"]["resourceVersion"]
    try:
        return await kube.apply(kind, body | {"metadata": body["metadata"] | fence})
    except KubeError as error:
        if error.status == 422:
            raise Refused(kind, error.message) from None
        raise


def _is_of(body: Body, uid: str) -> bool:
    owner = controller_of(body)
    return owner is not None and owner["uid"] == uid


def _generation(body: Body) -> int | None:
    generation: int | None = body["metadata"].get("generation")
    return generation


def _fingerprint(body: Body) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
