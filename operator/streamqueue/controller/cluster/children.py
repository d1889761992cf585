"""Brings what a queue owns to what it should be, and writes only where that differs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from streamqueue.controller.cluster import managed_fields
from streamqueue.controller.cluster.kube import TERMINATING, Kube, KubeError
from streamqueue.controller.cluster.refusal import Refusal, Refused
from streamqueue.controller.cluster.store import Holdings, Store, controller_of
from streamqueue.controller.kinds import DEPLOYMENTS, Body, Kind
from streamqueue.controller.trouble import Trouble

TRIES = 5  # of a write that others keep from its version: a fleet whose pods come has a new one with each of them


class NameConflict(Exception):
    """An object of the name we need is somebody else's. Nothing was written."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(
            f"{kind.kind} {name} exists and isn't this queue's: rename the queue, or delete that {kind.kind}"
        )


@dataclass(slots=True)
class Applied:
    """What we last wrote of each kind, and the generation that the API server gave it.

    A generation that has moved since tells of a hand edit; no field-by-field comparison, which would have to know
    every default of the API server.
    """

    marks: dict[Kind, tuple[str, int | str | None]] = field(default_factory=dict)
    refused: dict[Kind, tuple[str, Refusal]] = field(default_factory=dict)  # what it would not have, and its word
    # The fleet's, as they were then.
    template: str = ""  # a hash
    replicas: int | None = None  # None: nobody knows

    def is_edited(self, fleet: Body | None) -> bool:
        """Whether somebody has written another template into the Deployment since."""
        return self._is_others(fleet) and self.template != _fingerprint(fleet and fleet["spec"].get("template"))

    def overwritten(self, fleet: Body | None) -> int | None:
        """The count that we left, where somebody has set another since; once."""
        if fleet is None or not self._is_others(fleet) or fleet["spec"]["replicas"] == self.replicas:
            return None
        before, self.replicas = self.replicas, fleet["spec"]["replicas"]
        return before

    def _is_others(self, fleet: Body | None) -> bool:
        """Whether the Deployment's latest spec is of somebody else."""
        _, generation = self.marks.get(DEPLOYMENTS, ("", None))
        return fleet is not None and generation not in (None, _generation(fleet))


async def converge(
    kube: Kube,
    store: Store,
    held: Holdings,
    applied: Applied,
    desired: Iterable[tuple[Kind, Body]],
    *,
    seen: int | None = None,
) -> None:
    """Create what is missing, in this order, then apply what differs, all at once: a wake waits for one write only.

    What can't be created keeps back what would be created after it, and nothing else. No fleet is written whose count
    isn't the `seen` that was decided on, and each write of one carries the resourceVersion that it was seen at.
    Raises `NameConflict`, `Refused`, `KubeError`.
    """
    uid = held.body["metadata"]["uid"]

    async def write(kind: Kind, body: Body, live: Body | None) -> None:
        mark = _fingerprint(body)
        _raise_if_just_refused(applied, kind, mark)
        try:
            written = await (_apply(kube, kind, body, live) if live else _create(kube, kind, body, uid))
        except Refused as error:
            applied.refused[kind] = mark, error.refusal
            raise
        except KubeError as error:
            if kind is DEPLOYMENTS and (not error.status or error.status >= 500):
                applied.replicas = None  # it may have been done
            raise
        applied.marks[kind] = "" if _lowers(kind, body, written) else mark, _generation(written)
        if kind is DEPLOYMENTS:
            applied.template = _fingerprint(written["spec"].get("template"))
            applied.replicas = written["spec"]["replicas"]
        store.put(kind, written)

    changes: list[tuple[Kind, Body, Body]] = []
    left: Exception | None = None
    for kind, body in desired:
        live = held.owned.get(kind)
        if live and _is_of(live, uid):
            if kind is DEPLOYMENTS and seen is not None and live["spec"]["replicas"] != seen:
                left = left or KubeError(409, "Conflict", "the fleet's count changed while its next one was decided on")
                continue
            is_posted = managed_fields.is_posted(live["metadata"])  # best mended now, before a wake has to wait for it
            if is_posted or applied.marks.get(kind) != (_fingerprint(body), _generation(live)):
                changes.append((kind, body, live))
        elif not left:
            try:
                await write(kind, body, None)
            except (NameConflict, Refused, KubeError) as error:
                left = error  # of this object: what there is goes on
    # The last, the fleet, goes first: it takes the connection that is open.
    answers = await asyncio.gather(*(write(*change) for change in reversed(changes)), return_exceptions=True)
    for answer in (*answers, left):
        if isinstance(answer, BaseException):
            raise answer


def _raise_if_just_refused(applied: Applied, kind: Kind, mark: str) -> None:
    """Don't ask again for what was refused a moment ago; but the Deployment's count can't wait."""
    known, refusal = applied.refused.get(kind, (None, None))
    if refusal and known == mark and kind is not DEPLOYMENTS and refusal.holds(time.monotonic()):
        raise Refused(refusal)


async def _create(kube: Kube, kind: Kind, body: Body, uid: str) -> Body:
    try:
        return await _upgrade_managed_fields(kube, kind, await kube.create(kind, body))
    except KubeError as error:
        if error.reason != "AlreadyExists":
            raise _refused(error) or error from None
    metadata = body["metadata"]
    existing = await kube.get(kind, metadata["namespace"], metadata["name"])
    if existing is None or _goes(existing, body):
        raise KubeError(409, "Conflict", f"{kind.kind} {metadata['name']} of an earlier queue is about to go")
    if not _is_of(existing, uid):
        raise NameConflict(kind, metadata["name"])
    if _lowers(kind, body, existing):
        # Whoever decided on the count saw no fleet: it lost the label that our watch goes by.
        body = body | {"spec": body["spec"] | {"replicas": existing["spec"]["replicas"]}}
    return await _apply(kube, kind, body, existing)


async def _apply(kube: Kube, kind: Kind, body: Body, live: Body) -> Body:
    if managed_fields.is_posted(live["metadata"]):
        live = await _upgrade_as_seen(kube, kind, live)
    tries = 1
    while True:
        try:
            return await kube.apply(kind, _fenced(kind, body, live))
        except KubeError as error:
            again = error.status == 409 and tries < TRIES
            now = await _now_as_counted(kube, kind, body, live) if again else None
            if now is None:
                raise _refused(error) or error from None
        live, tries = now, tries + 1


def _fenced(kind: Kind, body: Body, live: Body) -> Body:
    """Bound to the version of the Deployment that was decided on: a late write, even one that raises the count, would
    else shrink a fleet that another leader, or somebody by hand, has made larger meanwhile.
    """
    known = ("uid", "resourceVersion") if kind is DEPLOYMENTS else ("uid",)
    return body | {"metadata": body["metadata"] | {name: live["metadata"][name] for name in known}}


async def _now_as_counted(kube: Kube, kind: Kind, body: Body, live: Body) -> Body | None:
    """The Deployment as it is now, if its count is still the one that was decided on: more workers need not wait a
    round because only its status has changed. Fewer do: None.
    """
    if kind is not DEPLOYMENTS or _lowers(kind, body, live):
        return None
    now = await kube.get(kind, live["metadata"]["namespace"], live["metadata"]["name"])
    if now is None or now["metadata"]["uid"] != live["metadata"]["uid"]:
        return None
    return now if now["spec"]["replicas"] == live["spec"]["replicas"] else None


async def _upgrade_managed_fields(kube: Kube, kind: Kind, now: Body) -> Body:
    """`now`, with the fields that our POST set owned by our apply. Unchanged where that is refused or comes too late:
    the next round tries again.
    """
    if not managed_fields.is_posted(now["metadata"]):
        return now
    try:
        return await kube.set_managed_fields(kind, now, managed_fields.upgraded(now["metadata"]["managedFields"]))
    except KubeError as error:
        if not error.status:
            raise
        return now


async def _upgrade_as_seen(kube: Kube, kind: Kind, live: Body) -> Body:
    """The same for an object that was seen as `live`: with the version after the change, so that a write bound to it is
    accepted. Unchanged where somebody else has written meanwhile: then that write must fail.
    """
    metadata = live["metadata"]
    now = await kube.get(kind, metadata["namespace"], metadata["name"])
    if now is None:
        return live
    written = await _upgrade_managed_fields(kube, kind, now)
    if now["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
        return live
    return live | {"metadata": metadata | {"resourceVersion": written["metadata"]["resourceVersion"]}}


def _refused(error: KubeError) -> Refused | None:
    """The refusal behind an error, which stays until somebody mends the spec or the cluster; None for what passes."""
    now = time.monotonic()
    # A field that no pod has: server-side apply calls that an error of its own (kubernetes#122480).
    untyped = error.status == 500 and "failed to create typed" in error.message
    # By a webhook (`denied the request`) or a ValidatingAdmissionPolicy, with a status of their own choice.
    denied = re.search("denied (the )?request", error.message)
    if untyped or (error.status in (400, 422) and not denied):
        return Refused(Refusal(Trouble("TemplateInvalid", error.message), now))
    # Beside these a quota, or a webhook that must be asked and is away.
    forbidden = error.status in (400, 403, 422) and error.reason != TERMINATING
    if forbidden or (error.status == 500 and "failed calling webhook" in error.message):
        return Refused(Refusal(Trouble("Forbidden", error.message), now))
    return None


def _lowers(kind: Kind, body: Body, live: Body) -> bool:
    return bool(kind is DEPLOYMENTS and body["spec"]["replicas"] < live["spec"]["replicas"])


def _is_of(body: Body, uid: str) -> bool:
    owner = controller_of(body)
    return owner is not None and owner["uid"] == uid


def _goes(existing: Body, body: Body) -> bool:
    """Whether it is of an earlier queue of this name, whose end will be its own."""
    theirs, ours = controller_of(existing), controller_of(body)
    if not theirs or not ours or theirs["uid"] == ours["uid"] or "deletionTimestamp" in existing["metadata"]:
        return False
    return bool((theirs["kind"], theirs["name"]) == (ours["kind"], ours["name"]))


def _generation(body: Body) -> int | str | None:
    """A ServiceAccount has none: its version tells of an edit."""
    generation: int | str | None = body["metadata"].get("generation") or body["metadata"].get("resourceVersion")
    return generation


def _fingerprint(body: Body | None) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
